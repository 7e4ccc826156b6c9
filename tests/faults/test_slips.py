"""Slips of the hand: paths, names, words and files that were meant otherwise than they are typed."""

import io
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.records import write_run, write_sweep
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

import infer
from infer.cli import _checked_flags
from infer.commands import rm, trash
from infer.commands.composition import settings_of_words
from infer.commands.exchange import new_folder
from infer.commands.main import run as type_infer
from infer.config.presets import check_own_presets, conf_folder
from infer.config.sweep import SweepConfig
from infer.data.listing import list_tree
from infer.errors import UsageError
from infer.formats.catalogue import find_format
from infer.formats.foreign_set import ForeignSet
from infer.normalisation import Normalisation
from infer.pipeline.run_folder import require_own_folder
from infer.records.find import require_store
from infer.sweep.axes import combine

NOBODY = "~nobody-here/x"


def _refusal(work: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as refused:
        work()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line with which ``infer <words>`` is refused."""
    assert type_infer(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "unexpected" not in told
    return told


@pytest.mark.parametrize(
    "words",
    [
        [f"outputs='{NOBODY}'"],
        ["dataset=folder", f"dataset.root='{NOBODY}'"],
        [f"teachers.checkpoints={{convnet3_w32_batchnorm: '{NOBODY}'}}"],
        ["labeling=fkd", f"labeling.path='{NOBODY}'"],
    ],
)
def test_the_home_of_nobody_in_a_setting(resolved, words):
    assert "no user is called 'nobody-here'" in _refusal(lambda: resolved(*words))


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "--outputs", NOBODY],
        ["evaluate", NOBODY],
        ["import", NOBODY, "--to", "y"],
        ["import", "x", "--to", NOBODY],
        ["verify", NOBODY],
        ["results", "reproduction", "--into", NOBODY],
    ],
)
def test_the_home_of_nobody_in_a_command(capsys, words):
    assert "no user is called 'nobody-here'" in _told(capsys, *words)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "", "dataset=digits"],
        ["import", "", "--to", "y", "--dataset", "digits"],
        ["import", "x", "--to", ""],
        ["score", ""],
        ["verify", ""],
        ["ls", "--outputs", ""],
        ["gc", "--outputs", " ", "--delete"],
    ],
)
def test_an_empty_path_is_not_the_current_folder(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "runs").mkdir(parents=True)
    assert "empty path" in (told := _told(capsys, *words)) or "is not a name for a new folder" in told


def test_a_run_replaces_no_files_of_others(tmp_path):
    outputs, own = tmp_path / "outputs", tmp_path / "own"
    (outputs / "distilled" / "digits-set").mkdir(parents=True)
    (own / ".hydra").mkdir(parents=True)
    require_own_folder(own, outputs)
    (own / "distilled").mkdir()
    assert "holds files that belong to no run (distilled)" in _refusal(lambda: require_own_folder(own, outputs))
    (own / "result.json").touch()
    require_own_folder(own, outputs)
    (outputs / "result.json").touch()
    assert "is the folder of all artefacts" in _refusal(lambda: require_own_folder(outputs, outputs))


def test_a_run_is_not_made_in_the_store(launch_in, tmp_path):
    kept = tmp_path / "outputs" / "distilled" / "digits-set" / "images.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for folder in ("outputs", "outputs/distilled"):
        finished = launch_in(tmp_path, f"hydra.run.dir={folder}")
        assert finished.returncode == 2 and f"hydra.run.dir={folder}" in finished.stderr.replace(f"{tmp_path}/", "")
    assert kept.is_file() and not [path for path in tmp_path.rglob("*.*") if path.suffix in (".json", ".log", ".html")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hydra.run.dir=/dev/null"], "hydra.run.dir=/dev/null cannot be written to (a file is in its place)"),
        (["hydra.run.dir=/dev/null/x"], "hydra.run.dir=/dev/null/x cannot be written to"),
        (["hydra.output_subdir=/dev/null"], "hydra.output_subdir=/dev/null is not possible: it is .hydra, or null"),
        (["hydra.output_subdir=words"], "hydra.output_subdir=words is not possible"),
        (["-m", "worker=0,1", "hydra.output_subdir=words"], "hydra.output_subdir=words is not possible"),
        (["-m", "seed=1", "hydra.sweep.dir=/dev/null"], "hydra.sweep.dir=/dev/null cannot be written to"),
    ],
)
def test_folders_in_which_no_run_can_be_made(launch_in, tmp_path, words, says):
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and says in finished.stderr, finished.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"outputs"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method.name=rded"], "Type method=rded"),
        (["method=random", "method.name=infer"], "Type method=infer"),
        (["dataset.name=cifar10"], "Type dataset=cifar10"),
        (["dataset=cifar100", "dataset.name=digits"], "Type dataset=digits"),
    ],
)
def test_a_name_of_something_else(resolved, words, says):
    assert says in _refusal(lambda: resolved(*words))


@pytest.mark.parametrize("words", [["method=cda"], ["method.name=mine"], ["dataset=cifar10_images", "dataset.root=/x"]])
def test_names_of_presets_and_of_ones_own(resolved, words):
    resolved(*words)


def test_home_in_what_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path / "x") in _refusal(lambda: infer.load("~/x"))


def test_variables_in_outputs(resolved, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.delenv("NOT_SET", raising=False)
    assert resolved("outputs='$SCRATCH/runs'").outputs == "/scratch/runs"
    for typed in ("$NOT_SET/runs", "/x/$NOT_SET"):
        assert "the variable NOT_SET is not set" in _refusal(lambda typed=typed: resolved(f"outputs='{typed}'"))
    (tmp_path / "$NOT_SET").mkdir()
    assert resolved("outputs='$NOT_SET'").outputs == "$NOT_SET"


@pytest.mark.parametrize("word", ["", "/", " ", "//"])
@pytest.mark.parametrize("command", ["rm", "show", "table", "report", "watch"])
def test_an_empty_word_names_no_run(capsys, tmp_path, command, word):
    folder = write_run(tmp_path / "runs" / "20260101-090000-000001-digits-infer-ipc10", "", (97.0,))
    assert "names no run" in _told(capsys, command, word, "--outputs", str(tmp_path))
    assert (folder / "result.json").is_file()


def test_a_sweep_is_set_aside_after_one_of_its_jobs(capsys, tmp_path, monkeypatch):
    """Both within one second, in which the trash has one folder."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, 9, 0, 0, tzinfo=tz or UTC)

    monkeypatch.setattr(rm, "datetime", Clock)
    sweep = write_sweep(tmp_path / "sweeps" / "20260101-090000-000001-seed", {"seed": ["0", "1"]})
    job = sweep / "0-seed=0"
    for folder in (job, sweep):
        assert type_infer(["rm", str(folder), "--outputs", str(tmp_path)]) == 0, capsys.readouterr().err
    assert not sweep.exists()
    assert sorted(path.parent.name for path in tmp_path.glob(".trash/*/sweeps/*/0-seed=0")) == [sweep.name]
    assert len(list((tmp_path / trash.TRASH).iterdir())) == 2


@pytest.mark.parametrize("command", [["ls"], ["gc"], ["gc", "--delete"], ["show", "x"]])
def test_outputs_one_folder_too_deep(capsys, tmp_path, command):
    write_run(tmp_path / "runs" / "20260101-090000-000001-digits-infer-ipc10", "", (97.0,))
    assert f"Type --outputs {tmp_path}" in _told(capsys, *command, "--outputs", str(tmp_path / "runs"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([" "], "Leave it out"),
        ([""], "Leave it out"),
        (["ipc =5"], "Type ipc=5"),
        (["dataset = digits"], "Type dataset=digits"),
        (["ipc:5"], "Type ipc=5"),
        (["ipc: 5"], "Type ipc=5"),
        (["\u2013m"], "Type -m"),
        (["dataset=[digits,cifar10]"], "Type -m dataset=a,b"),
        (["method=[infer,random]"], "Type -m method=a,b"),
        (["evaluate=[digits_static,digits]"], "Type -m evaluate=a,b"),
        (["teachers=null"], "teachers=null is not a choice"),
        (["+experiment=null"], "experiment=null is not a choice"),
        (["method.iterations=1e3"], "Type method.iterations=1000"),
        (["seed=1.0"], "Type seed=1"),
        (["outputs=${HOME}/x"], "${oc.env:HOME}"),
        (["evaluate.epochs=null", "evaluate.steps=1000000000000"], "at most 10,000,000"),
        (["method.iterations=1000000000000"], "at most 10,000,000"),
        (["dataset=folder", "dataset.root=/", "dataset.resize=100000"], "at most 4,096"),
    ],
)
def test_words(words, says):
    told = _refusal(lambda: settings_of_words(words))
    assert says in told and "Exception" not in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ipc=5"], "Type ipc=5"),
        (["-ipc=5"], "Type ipc=5"),
        (["--ipc", "5"], "Type 'ipc=<value>'"),
        (["--evaluate.lr=1"], "Type evaluate.lr=1"),
        (["--foo"], "--hydra-help"),
        (["--cfg", "foo"], "--hydra-help"),
        (["--config-dir"], "expected one argument"),
        (["--config-dir="], "--config-dir is empty"),
        (["-cd", " "], "--config-dir is empty"),
        (["--config-path="], "--config-path is empty"),
        (["--config-name="], "--config-name is empty"),
        (["--experimental-rerun", "job.pickle"], "Type infer rerun"),
        (["--experimental-rerun="], "Type infer rerun"),
        (["--multi", "--cfg=job"], "-m and --cfg"),
        (["-r", "--cfg=job"], "--run and --cfg do not go together"),
        (["--run", "--multirun"], "--run and --multirun do not go together"),
        (["--resolve"], "Type --cfg job --resolve"),
        (["--shell-completion"], "install=bash"),
        (["-sc", "install=nosuch"], "install=bash"),
        (["-sc", "query=bash"], "install=bash"),
    ],
)
def test_flags(words, says):
    assert says in _refusal(lambda: _checked_flags(words))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("seed=range(1,inf)", "at most 10,000 jobs"),
        ("seed=range(10001)", "at most 10,000 jobs"),
        ("seed=range(1,2,0)", "must not be zero; range(1,4) is 1, 2, 3"),
        ("seed=range(0,1,step=0)", "range(1,4) is 1, 2, 3"),
        ("seed=range(5,1)", "that gives no value"),
        ("seed=range(200) worker=range(100)", "200 x 100 values"),
        ("seed=range(10000000) worker=range(10000000)", "at most 10,000 jobs"),
    ],
)
def test_sweeps_without_an_end(words, says):
    """Listing all values first takes all memory."""
    overrides = OverridesParser.create().parse_overrides(words.split())
    assert says in _refusal(lambda: combine(overrides, SweepConfig()))


@pytest.mark.parametrize("resume", ["", " "])
def test_an_empty_name_of_a_search(resume):
    assert "Type the folder of the search" in _refusal(lambda: SweepConfig(trials=3, resume=resume))


def test_batches_of_no_jobs(launch_in, tmp_path):
    finished = launch_in(tmp_path, "-m", "seed=0,1", "hydra.sweeper.max_batch_size=0")
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and "is not possible" in finished.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("estimate", "sweep=M"), ("diff", "--config", "M=1", "hydra.mode=MULTIRUN")])
def test_a_sweep_where_one_run_is_wanted(capsys, words):
    assert "makes a sweep of several runs" in _told(capsys, *words)


@pytest.mark.parametrize("part", ["nosuch", "K"])
def test_a_part_of_the_settings_that_is_not_there(launch_in, tmp_path, part):
    finished = launch_in(tmp_path, "--cfg", "job", "-p", part)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and f"--package {part}" in finished.stderr


_HEAD = "# @package _global_\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("dataset: cifar10\n", "'defaults: [{override /dataset: cifar10}]'"),
        ("defaults:\n  - dataset: cifar10\n", "'defaults: [{override /dataset: cifar10}]'"),
        ("defaults:\n  - override dataset: cifar10\n", "'defaults: [{override /dataset: <choice>}]'"),
        ("- ipc\n", "without a dash"),
        ("outputs: [a]\n", "outputs: Cannot convert"),
        ("seed: ${nope}\n", "seed: Interpolation key 'nope' not found"),
        ("outputs: ${HOME}/runs\n", "${oc.env:HOME}"),
    ],
)
def test_files_of_settings(tmp_path, content, says):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "local.yaml").write_text(_HEAD + content)
    told = _refusal(lambda: settings_of_words([f"hydra.searchpath=[file://{tmp_path}]"]))
    assert says in told and "provider=" not in told


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("hydra.searchpath=[file:///nowhere]", "there is no folder '/nowhere'"),
        ("hydra.searchpath=[conf,/nowhere]", "there is no folder '/nowhere'"),
        ("hydra.searchpath=[conf/config.yaml]", "there is no folder 'conf/config.yaml'"),
        ("hydra.searchpath=['~/nowhere']", "there is no folder '~/nowhere'"),
        ("hydra.searchpath=['']", "there is no folder ''"),
        ("++hydra.searchpath=[pkg://nowhere.at.all]", "there is no package 'nowhere.at.all'"),
        ("hydra.searchpath=[pkg://]", "there is no package ''"),
        ("hydra.searchpath=[pkg://infer.cli]", "there is no package 'infer.cli'"),
        ("hydra.searchpath=[s3://bucket/x]", "s3:// is neither file:// nor pkg://"),
        ("hydra.searchpath=[infer", "has no closing ]"),
        ("hydra.searchpath=infer", "must be a list of strings"),
        ("hydra.searchpath=[3]", "must be a list of strings"),
    ],
)
def test_presets_that_are_searched_for_where_nothing_is(monkeypatch, word, says):
    monkeypatch.chdir(conf_folder().parent)
    told = _refusal(lambda: settings_of_words([word]))
    assert says in told and word in told
    if "no folder" in says or "no package" in says:
        assert told == _refusal(lambda: _checked_flags([word]))


@pytest.mark.parametrize("place", ["conf", "pkg://infer.config", "pkg://infer/config"])
def test_presets_that_are_searched_for_where_something_is(resolved, monkeypatch, place):
    monkeypatch.chdir(conf_folder().parent)
    assert settings_of_words([f"hydra.searchpath=[{place}]"])[1] == resolved()
    assert _checked_flags([f"hydra.searchpath=[{place}]"]).overrides


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("user/local.yml", b"", "Type mv "),
        ("evaluate/digits_static.yaml", b"lr: 0.1\n", "Give it another name"),
        ("config.yaml", b"seed: 1\n", "Give it another name"),
        ("experiment/mine.yaml", "# @package _global_\n".encode("utf-16"), "Save it as UTF-8"),
    ],
)
def test_presets_that_would_be_passed_over(tmp_path, name, content, says):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    for work in (
        lambda: check_own_presets(tmp_path),
        lambda: settings_of_words([f"hydra.searchpath=[{tmp_path}]"]),
        lambda: _checked_flags([f"hydra.searchpath=[file://{tmp_path}]"]),
    ):
        told = _refusal(work)
        assert says in told and name in told


def test_copies_of_presets_and_other_files_are_allowed(tmp_path):
    for name, content in {
        "evaluate/digits_static.yaml": (conf_folder() / "evaluate/digits_static.yaml").read_bytes(),
        "evaluate/mine.yaml": b"lr: 0.1\n",
        "elsewhere/notes.yml": b"\xff",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    check_own_presets(tmp_path)


def test_one_class_is_no_data_set(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "images").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / split / "images" / "0.png")
    assert "holds one class folder, images/" in _refusal(lambda: list_tree(tmp_path))


def test_names_of_classes_as_labels_in_parquet(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    cells = [{"bytes": content.getvalue(), "path": None}] * 2
    pq.write_table(pa.table({"image": cells, "label": ["cat", "dog"]}), tmp_path / "train.parquet")
    name, form = find_format(tmp_path, "auto")
    assert name == "parquet" and "holds text" in _refusal(lambda: form.read(tmp_path, 2))


@pytest.mark.parametrize(
    "words",
    [
        ["--std", "0", "0", "0"],
        ["--mean", "nan", "0", "0"],
        ["--std", "inf", "1", "1"],
        ["--mean", "123", "116", "103"],
    ],
)
def test_statistics_of_an_import(capsys, tmp_path, words):
    torch.save([torch.zeros(2, 3, 8, 8), torch.arange(2)], tmp_path / "x.pt")
    typed = ["import", str(tmp_path / "x.pt"), "--to", str(tmp_path / "to"), "--dataset", "digits", *words]
    assert f"{words[0]}=[" in _told(capsys, *typed) and not (tmp_path / "to").exists()


def test_images_that_are_nothing_but_clipped(tmp_path):
    normalisation = Normalisation.of([0.5] * 3, [0.2] * 3)
    for scale, is_refused in ((1e20, True), (1.0, False)):
        made = ForeignSet(torch.full((2, 3, 8, 8), scale), torch.arange(2))
        if is_refused:
            assert "100% of the values" in _refusal(lambda made=made: made.as_bytes(normalisation))
        else:
            assert made.as_bytes(normalisation)[0].shape == (2, 3, 8, 8)


@pytest.mark.parametrize("method", ["sre2l", "dwa"])
def test_images_that_became_black_and_white(launch_in, tmp_path, method):
    short = ["teachers.archs=[convnet3_w8_batchnorm]", "teachers.epochs=1", "teachers.min_top1=null", "processes=1"]
    words = [f"method={method}", "method.iterations=2", "method.lr=1e9", "ipc=1", "stages=[squeeze,generate]"]
    finished: subprocess.CompletedProcess = launch_in(tmp_path, *short, *words)
    assert finished.returncode == 1 and finished.stderr.count("\n") == 1, finished.stderr
    assert "black or white" in finished.stderr and "method.lr (now 1e+09)" in finished.stderr
    assert not list(Path(tmp_path, "outputs").glob("distilled/*"))


def test_a_run_by_its_path_from_elsewhere(tmp_path, monkeypatch):
    """Its artefacts are not below the ``outputs`` of this folder."""
    run = tmp_path / "a b" / "outputs" / "runs" / "x"
    run.mkdir(parents=True)
    (tmp_path / "a b" / "outputs" / ".locks").mkdir()
    (tmp_path / "elsewhere" / "outputs" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "there is no folder outputs" in _refusal(lambda: require_store(run, Path("outputs")))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"Type --outputs '{run.parents[1]}'" in _refusal(lambda: require_store(run, Path("outputs")))
    Path("outputs/runs/x").symlink_to(run)
    require_store(Path("outputs/runs/x"), Path("outputs"))
    require_store(run, run.parents[1])


@pytest.mark.parametrize("place", ["x/..", "file", "dangling", "pipe"])
def test_places_where_no_new_folder_can_be_made(tmp_path, place):
    (tmp_path / "x").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))

    def write() -> None:
        with new_folder(tmp_path / place):
            pass

    assert "Give a new folder: --to FOLDER" in _refusal(write)
    assert sorted(tmp_path.rglob("*")) == before
