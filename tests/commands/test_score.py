"""``infer score``: the runs that it takes, the ones that it asks for, and the ones that it must not take."""

import functools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.records import record_of, stages, write_json
from helpers.sampling import one_in
from helpers.small_run import SMALL_RUN

from infer.commands.composition import settings_of_words
from infer.commands.repeated_runs import NeededRun, find_run
from infer.records.run import Run
from infer.records.scores import label_robust_score
from infer.records.statistics import summarise

ROOT = Path(__file__).resolve().parents[2]
RUN = "20260101-090000-000001-digits-infer-ipc10"
FULL = {"full": {"metrics": {"test/top1": summarise([56.5, 60.0]), "val/top1": summarise([56.5, 60.0])}}}
TOP1 = (42.0, 50.0)
HARD, PLAIN, RANDOM = "labeling=hard", "evaluate.mix=none evaluate.crop_padding=0", "method=random ipc=10"
COMPANIONS = {"hard": HARD, "plain": PLAIN, "random": RANDOM, "random-plain": f"{RANDOM} {PLAIN}"}


@functools.cache
def _settings_of(*words):
    return settings_of_words(words)


def composed(words):
    return _settings_of(*words)


@pytest.fixture(autouse=True)
def _compose_once(monkeypatch):
    """Composing takes a quarter of a second, and most tests compose the same words."""
    for module in ("score_runs", "repeated_runs"):
        monkeypatch.setattr(f"infer.commands.{module}.settings_of_words", composed)


def overrides_of(command):
    """The overrides of a printed command line, without those that only say where and what is made."""
    words = shlex.split(command)[2:]
    return [word for word in words if not word.startswith(("baselines=", "outputs="))]


@pytest.fixture
def add_companions(add_run):
    """Writes the four runs that the scores of the default run need beside it."""

    def add(**changed):
        top1 = {"hard": (10.0, 20.0), "plain": (30.0, 40.0), "random": (25.8, 30.0), "random-plain": (30.0, 30.0)}
        for name, words in COMPANIONS.items():
            add_run(f"20260101-1-{name}", words, top1[name], **{"baselines": FULL} | changed.get(name, {}))

    return add


def test_the_scores_of_recorded_runs(infer, add_run, add_companions):
    add_companions()
    add_run(RUN, top1=TOP1)
    code, out, _ = infer("score", RUN, "--json")
    found = json.loads(out)
    assert code == 0 and found["random_per_class"] == 10
    expected = [label_robust_score(0.565, 0.10, 0.42, 0.258), label_robust_score(0.6, 0.2, 0.5, 0.3)]
    assert found["scores"]["LRS"]["values"] == pytest.approx(expected)
    assert found["scores"]["HLR"]["values"] == pytest.approx([0.465, 0.4])
    assert found["scores"]["ARS"]["n"] == 2 and found["accuracies"]["random_plain"]["run"] == "20260101-1-random-plain"


def test_what_a_person_reads(infer, add_run, add_companions):
    add_companions()
    add_run(RUN, top1=TOP1)
    code, out, _ = infer("score")  # the last finished run
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith(f"{RUN}: infer on digits, static labels, protocol digits_static, student")
    (random,) = (line for line in lines if line.startswith("random, 10 per class") and " yes " in line)
    assert "0.2790 ± 0.0297 (2)" in random and "20260101-1-random" in random
    assert any("the set is charged for 9.8, its students see 35 (--ipc 35)" in line for line in lines)
    assert any(line.startswith("LRS    0.2") for line in lines)


@pytest.mark.parametrize(
    "words",
    one_in(
        3,
        [
            "K=3 M=2 ipc=5 seed=1",
            "labeling=hard",
            "method=random ipc=10",
            "evaluate.flip=true evaluate.crop=resized evaluate.shuffle_patches=2",
            "",
            "dataset=cifar100 labeling=dynamic",
            "dataset=cifar10 method=rded evaluate=rded_cifar10 labeling=dynamic ipc=10 M=1",
            "dataset=cifar10 labeling=fkd labeling.epochs_stored=10 labeling.topk=5 evaluate.epochs=20",
            "experiment=rded_cifar10_cpu dataset.root=images sweep.student_steps=70",
        ],
    ),
)
def test_the_printed_commands_make_the_runs_that_are_missing(infer, add_run, words):
    of_set = {"baselines": FULL, "storage": {"ipc_charged": 9.8}}
    add_run(RUN, words, TOP1, **of_set)
    code, out, _ = infer("score", RUN)
    *commands, again = out.splitlines()[2:]
    assert code == 2 and again.startswith(f"infer score {RUN}") and f"missing for the scores of {RUN}" in out
    assert all(command.startswith("python launch.py ") for command in commands)
    for number, command in enumerate(commands):
        add_run(f"20260102-{number}", " ".join(overrides_of(command)), TOP1, **of_set)
    assert infer("score", RUN)[0] == 0
    told = json.loads(infer("score", RUN, "--json")[1])
    assert set(told["scores"]) == {"HLR", "IOR", "LRS", "ARS"}


def missing(infer, *words):
    """Overrides of the commands that ``infer score`` prints, one string for each."""
    code, out, _ = infer("score", RUN, *words)
    assert code == 2
    return [" ".join(overrides_of(command)) for command in out.splitlines()[2:-1]]


def test_the_default_run_needs_four_more(infer, add_run):
    add_run(RUN)
    assert missing(infer) == [HARD, PLAIN, RANDOM, f"{RANDOM} {PLAIN}"]
    assert missing(infer, "--ipc", "35")[2] == "method=random ipc=35"


def test_the_protocol_stays_where_it_follows_from_the_labels(infer, add_run):
    add_run(RUN, "dataset=cifar100 labeling=dynamic")
    assert missing(infer)[0] == "dataset=cifar100 labeling=hard evaluate=infer_dynamic"


def test_students_on_random_images_make_as_many_updates_in_batches_of_the_same_size(infer, add_run):
    """A protocol in epochs would give the students of fewer images fewer updates."""
    add_run(RUN, "dataset=cifar100 labeling=static")  # the students of 35 images per class make 400 updates
    assert missing(infer)[2] == "dataset=cifar100 labeling=static method=random ipc=10 sweep.student_steps=400"
    assert missing(infer, "--ipc", "35")[2] == "dataset=cifar100 labeling=static method=random ipc=35"
    add_run(RUN[:-1] + "2", "dataset=cifar10 method=rded evaluate=rded_cifar10 labeling=dynamic ipc=10 M=1")
    code, out, _ = infer("score", RUN[:-1] + "2", "--ipc", "50")
    assert code == 2 and "method=random ipc=50 evaluate.batch_size=50" in out


def test_settings_that_a_sweep_brought_are_typed(infer, add_run):
    folder = add_run(RUN, "evaluate.split=val evaluate.lr=1e-3")
    (folder / ".hydra" / "overrides.yaml").write_text("- sweep=lr\n- evaluate.lr=1e-3\n")
    assert missing(infer)[0] == "evaluate.lr=1e-3 labeling=hard evaluate.split=val"


def test_without_a_name_runs_that_were_made_for_a_score_are_passed_over(infer, add_run):
    add_run(RUN)
    add_run("20260102-plain", f"{PLAIN} baselines=[]")
    add_run("20260102-real", f"{HARD} baselines=[full]")
    assert infer("score")[1].splitlines()[-1].startswith(f"infer score {RUN}")


def test_a_run_that_meets_several_needs_is_not_made_again(infer, add_run):
    add_run(RUN, "labeling=hard evaluate.mix=none evaluate.crop_padding=0", baselines=FULL)
    assert missing(infer) == ["labeling=hard evaluate.mix=none evaluate.crop_padding=0 method=random ipc=10"]


@pytest.mark.parametrize(
    "other", ["seed=1", "evaluate.repeats=5", "evaluate.split=val", "evaluate.lr=0.01", "teachers.epochs=7", "M=2"]
)
def test_runs_that_differ_in_a_setting_are_not_combined(infer, outputs, add_run, add_companions, other):
    add_companions()
    add_run(RUN, top1=TOP1)
    assert infer("score", RUN)[0] == 0
    for name, words in COMPANIONS.items():
        path = outputs / "runs" / f"20260101-1-{name}" / "result.json"
        record = json.loads(path.read_text())
        write_json(path, record | {"config": record_of(f"{words} {other}", TOP1)["config"]})
        assert missing(infer) == [words]
        write_json(path, record)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"metrics": {}},
        {"environment": {"precision": "bf16", "student_steps": 400}},
        {"environment": {"precision": "fp32", "student_steps": 401}},
        {"stages": stages(squeeze=["f" * 64])},
    ],
)
@pytest.mark.parametrize("name", ["hard", "random"])
def test_runs_on_another_ground_are_not_combined(infer, add_run, add_companions, name, change):
    environment = {"precision": "fp32", "student_steps": 400}
    same = {each: {"environment": environment} for each in ("hard", "plain", "random", "random-plain")}
    add_companions(**same | {name: {"environment": environment} | change})
    add_run(RUN, top1=TOP1, environment=environment)
    assert missing(infer) == [{"hard": HARD, "random": RANDOM}[name]]


@pytest.mark.parametrize("changed", [{"dataset": {"fingerprint": "0" * 64}}, {"signature": "0" * 64}])
def test_other_data_and_another_set_are_not_combined(infer, add_run, add_companions, changed):
    add_companions()
    manifest = add_run(RUN, top1=TOP1) / "distilled" / "manifest.json"
    content = json.loads(manifest.read_text())
    assert infer("score", RUN)[0] == 0
    write_json(manifest, content | changed)
    assert missing(infer)[:2] == [HARD, PLAIN]


def test_hard_labels_without_the_full_data_are_not_enough(infer, add_run, add_companions):
    add_companions(hard={"baselines": {}})
    add_run(RUN)
    assert missing(infer) == [HARD]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"status": "failed"},
            "is failed, and only finished runs are repeated or scored. Start it again: python launch",
        ),
        ({"status": "running"}, "is running, and only finished"),
        ({"metrics": {}}, "has trained no students (stages=["),
    ],
)
def test_a_run_that_cannot_be_scored_is_one_line(infer, add_run, changes, told):
    add_run(RUN, "M=2", **changes)
    code, out, err = infer("score", RUN)
    assert (code, out, err.count("\n")) == (2, "", 1) and told in err


@pytest.mark.parametrize("words", ["labeling=fkd labeling.path=x", "method=imported method.path=x labeling.source=set"])
def test_labels_that_were_made_elsewhere_are_refused(infer, add_run, words):
    add_run(RUN, words)
    code, out, err = infer("score", RUN)
    assert (code, out, err.count("\n")) == (2, "", 1) and "learn labels that were made elsewhere" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "no run in"),
        (["/nowhere/at/all"], "/nowhere/at/all does not exist"),
        ([RUN, "labeling=hard"], "a run is scored as it was made"),
        ([RUN, "--ipc", "0"], "--ipc 0: the number of images per class must be at least 1"),
    ],
)
def test_wrong_words_are_one_line(infer, add_run, words, told):
    add_run(RUN)
    code, out, err = infer("score", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and told in err


def test_more_random_images_than_a_class_has_are_refused_before_commands_are_printed(infer, add_run):
    environment = {"student_steps": 400, "smallest_class": 139}
    add_run(RUN, environment=environment)
    assert missing(infer, "--ipc", "139")[2] == "method=random ipc=139"
    for words in (["--ipc", "140"], ["--ipc", "100000", "--make"]):
        code, out, err = infer("score", RUN, *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"{words[1]} random images of every class" in err and "digits has 139 training images" in err
        assert err.endswith("Type --ipc 139 or less\n")
    add_run(RUN[:-1] + "2", storage={"ipc_charged": 200.0}, environment=environment)
    assert "200 random images" in infer("score", RUN[:-1] + "2")[2]


def test_a_run_whose_settings_are_gone_is_one_line(infer, add_run):
    folder = add_run(RUN)
    record = json.loads((folder / "result.json").read_text())
    record["config"]["method"]["long_gone"] = 1
    write_json(folder / "result.json", record)
    code, out, err = infer("score", RUN)
    assert (code, out) == (2, "") and "cannot be repeated: method.long_gone would differ" in err


def test_a_set_asks_for_its_run_and_finds_it_while_it_is_not_changed(infer, add_run, tmp_path):
    (tmp_path / "set" / "new000").mkdir(parents=True)
    words = f"method=imported method.path={tmp_path / 'set'} dataset=digits"
    code, out, _ = infer("score", str(tmp_path / "set"), "dataset=digits")
    assert code == 2 and [" ".join(overrides_of(line)) for line in out.splitlines()[2:-1]] == [
        words,
        f"{words} labeling=hard",
        f"{words} {PLAIN}",
    ]
    add_run(RUN, words)
    code, out, _ = infer("score", str(tmp_path / "set"), "dataset=digits")
    random = "dataset=digits method=random ipc=10"
    expected = [f"{words} labeling=hard", f"{words} {PLAIN}", random, f"{random} {PLAIN}"]
    assert [" ".join(overrides_of(line)) for line in out.splitlines()[2:-1]] == expected
    os.utime(tmp_path / "set" / "new000", (2**33, 2**33))
    code, out, _ = infer("score", str(tmp_path / "set"), "dataset=digits")
    assert overrides_of(out.splitlines()[2]) == words.split()


def test_a_setting_that_came_after_a_record_counts_as_recorded_with_its_default(infer, add_run):
    folder = add_run(RUN)
    record = json.loads((folder / "result.json").read_text())
    del record["config"]["method"]["compensator_scale"]
    (folder / "result.json").write_text(json.dumps(record))
    found = find_run(_needed(), None, [Run(RUN, folder)])
    assert found is not None
    assert find_run(_needed("method.compensator_scale=2"), None, [Run(RUN, folder)]) is None


def _needed(*words: str) -> NeededRun:
    settings, config = settings_of_words(words)
    return NeededRun(list(words), settings, config)


@pytest.mark.slow
def test_runs_that_are_missing_are_made(tmp_path, launch_in):
    small = [*SMALL_RUN, "evaluate.repeats=2"]
    assert launch_in(tmp_path, *small, "baselines=[]").returncode == 0
    (first,) = (tmp_path / "outputs" / "runs").iterdir()

    def score(*words):
        return subprocess.run(
            [sys.executable, "-c", "from infer.commands.main import main; main()", "score", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )

    made = score("--make", "--json")
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "outputs" / "runs").iterdir())) == 5
    found = json.loads(made.stdout)
    assert found["set"] == first.name and found["scores"]["LRS"]["n"] == 2
    again = score(first.name, "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, found)
    failed = score(first.name, "--make", "--ipc", "100000")
    assert failed.returncode == 2 and failed.stdout == "" and "Traceback" not in failed.stderr


def test_nothing_but_making_needs_torch(outputs, add_run, tmp_path):
    add_run(RUN)
    (tmp_path / "set").mkdir()
    script = "import sys\nfrom infer.commands.main import run\n"
    for words in ([RUN], [str(tmp_path / "set"), "dataset=digits"]):
        script += f"assert run(['score', *{words!r}, '--outputs', {str(outputs)!r}]) == 2\n"
    script += "print({'torch', 'scipy', 'matplotlib'} & sys.modules.keys() or 'light')"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert finished.stdout.splitlines()[-1] == "light", finished.stderr
