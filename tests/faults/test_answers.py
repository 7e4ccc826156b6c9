"""A person's mistake is answered in one line that says what to type, whoever noticed it, and leaves nothing behind."""

import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from infer.config import as_plain
from infer.errors import UsageError, describe
from infer.torch_load import load_foreign
from infer.words import shell_line

ROOT = Path(__file__).resolve().parents[2]


def _line(finished: subprocess.CompletedProcess, code: int = 2) -> str:
    assert finished.returncode == code, finished.stderr
    assert finished.stderr.count("\n") == 1 and "unexpected" not in finished.stderr, finished.stderr
    return finished.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dataset.root=a(b"], ["Hydra wants quoted", """Type "dataset.root='a(b'\""""]),
        (["ipc=3=4"], ["Hydra wants quoted"]),
        (["ipc"], ["'ipc' is not key=value", "Type ipc=<value>"]),
        (["=3"], ["names no setting"]),
        (["student.archs=resnet8"], ["student.archs is a list", "Type 'student.archs=[resnet8]'"]),
        (["stages=squeeze"], ["Type 'stages=[squeeze]'"]),
        (["teachers.checkpoints={resnet18:", "/x.pth}"], ["no closing }", "'teachers.checkpoints={resnet18: ...'"]),
        (["stages=[squeeze,", "generate]"], ["no closing ]"]),
        (["student.archs=[a(b]"], ["cannot be read as a list"]),
        (["M=1,2"], ["python launch.py -m M=1,2"]),
        (["student.archs=resnet8,resnet18"], ["'student.archs=[resnet8,resnet18]'"]),
        (["experiment=infer_cifar100_ipc"], ["Type experiment=infer_cifar100_ipc"]),
        (["dataset=cifar10:/x"], ["dataset=cifar10:/x is not a choice", "Type dataset=cifar10"]),
        (["sweep=methods", "method.iterations=10"], ["method=rded", "method=random", "one of method=", "method=infer"]),
        (["-m", "method=infer,random,rded", "method.iterations=10"], ["jobs 1-method=random, 2-method=rded: "]),
        (["-m", "--cfg", "job", "M=1,2"], ["-m and --cfg"]),
        (["--cfg=job", "-m"], ["-m and --cfg"]),
        (["--config-dir", "nowhere"], ["nowhere", "--config-dir <folder"]),
        (["--config-name", "nowhere"], ["nowhere", "--config-name"]),
    ],
)
def test_refused_at_once(launch_in, tmp_path, words, says):
    line = _line(launch_in(tmp_path, *words))
    assert all(part in line for part in says), line
    assert "Exception" not in line and "mismatched" not in line and "viable" not in line
    assert list(tmp_path.iterdir()) == []


def test_only_near_names_are_suggested(launch_in, tmp_path):
    assert "Type" not in _line(launch_in(tmp_path, "experiment=foo"))


def test_the_setting_that_was_typed_is_the_one_to_change(make_context):
    def refusal(*words: str) -> str:
        context = make_context(*words)
        with pytest.raises(UsageError) as refused:
            context.config.method.distilled_set(context)
        return str(refused.value)

    most = int(refusal("K=null", "ipc=100000").partition("Type ipc=")[2].split()[0])
    context = make_context("K=null", f"ipc={most}")
    assert context.config.method.distilled_set(context).subsets == min(context.data.train_counts)
    assert f"Type ipc={most} or less" in refusal("K=null", f"ipc={most + 1}")
    assert "Type K=139" in refusal("K=100000")


@pytest.mark.parametrize(
    "words",
    [["ipc=0"], ["stages=[evaluate]"], ["dataset=folder", "dataset.root=nowhere"]],
)
def test_a_refused_command_leaves_no_run(launch_in, tmp_path, words):
    _line(launch_in(tmp_path, *words))
    assert list(tmp_path.glob("outputs/runs/*")) == []


@pytest.mark.slow
def test_a_refused_command_leaves_the_files_of_others(launch_in, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("x")
    _line(launch_in(tmp_path, "stages=[evaluate]", "hydra.run.dir=own"))
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("user/local", "ipc: 5\n", []),
        ("user/local", "tracker:\n  name: none\n", []),
        ("experiment/mine", "ipc: 5\n", ["experiment=mine"]),
        ("experiment/mine", "defaults:\n  - override /dataset: cifar10\nipc: 5\n", ["experiment=mine"]),
        ("sweep/mine", "hydra:\n  sweeper:\n    params:\n      M: 1,2\n", ["sweep=mine"]),
    ],
)
def test_the_missing_first_line_of_a_file_is_named(launch_in, tmp_path, file, content, words):
    path = tmp_path / "own" / f"{file}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    line = _line(launch_in(tmp_path, "--config-dir", "own", *words))
    assert f"{file}.yaml" in line and "first line: # @package _global_" in line
    path.write_text(f"# @package _global_\n{content}")
    assert launch_in(tmp_path, "--config-dir", "own", *words, "--cfg", "job").returncode == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ipcc: 5\n", ["own/experiment/mine.yaml", "ipcc is not a setting", "Type ipc"]),
        ("evaluate: {lrr: 1}\n", ["mine.yaml", "evaluate.lrr is not a setting"]),
        ("ipc: [5\n", ["own/experiment/mine.yaml, line 3", "not YAML"]),
        ("ipc: ten\n", ["ten", "Integer"]),
    ],
)
def test_a_mistake_in_a_file_is_told_with_the_file(launch_in, tmp_path, content, says):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}")
    line = _line(launch_in(tmp_path, "--config-dir", "own", "experiment=mine"))
    assert all(part.removeprefix("own/") in line for part in says), line


@pytest.mark.slow
def test_a_printed_command_finds_the_same_presets(launch_in, tmp_path):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "small.yaml").write_text(
        "# @package _global_\nM: 1\nK: 1\nbaselines: []\n"
        "teachers: {epochs: 1, min_top1: null}\nmethod: {iterations: 1}\nevaluate: {epochs: null, steps: 1}\n"
    )
    (tmp_path / "own" / "mine.yaml").write_text("defaults: [config, _self_]\nseed: 3\n")
    words = ["--config-dir=own", "--config-name=mine", "experiment=small"]
    line = _line(launch_in(tmp_path, *words, "stages=[generate]"))
    printed = shlex.split(line.partition("Make it with: ")[2])
    assert printed[:2] == ["python", "launch.py"]
    assert launch_in(tmp_path, *printed[2:]).returncode == 0
    (record,) = tmp_path.glob("outputs/runs/*/result.json")
    config = json.loads(record.read_text())["config"]
    assert (config["seed"], config["K"]) == (3, 1)


def test_a_place_for_each_data_set(resolved, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("INFER_DATA", raising=False)

    def root(*words: str) -> str:
        roots = "+dataset_roots={cifar10: '~/c10', birds: /x/birds, imagenet1k: /i}"
        return resolved(roots, *words).dataset.root

    assert root("dataset=cifar10") == "/home/somebody/c10"
    assert root("dataset=cifar100") == "/home/somebody/.cache/infer/cifar100"
    assert root("dataset=folder", "dataset.name=birds") == "/x/birds"
    assert root("dataset=imagenette") == "/i" and root("dataset=imagenette", "dataset.root=/t") == "/t"
    assert root("dataset=cifar10", "dataset.root=/t") == "/t"
    with pytest.raises(UsageError, match="dataset.root must be given"):
        root("dataset=folder")
    with pytest.raises(UsageError, match="dataset_roots=3"):
        resolved("dataset_roots=3")
    assert "dataset_roots" not in as_plain(resolved()), "records say dataset.root, which is what counts"


@pytest.mark.slow
def test_a_place_for_each_data_set_in_a_file(launch_in, tmp_path):
    (tmp_path / "own" / "user").mkdir(parents=True)
    content = "# @package _global_\ndataset_roots: {cifar10: ~/c10}\n"
    (tmp_path / "own" / "user" / "local.yaml").write_text(content)
    line = _line(launch_in(tmp_path, "--config-dir", "own", "dataset=cifar10", HOME="/home/somebody"))
    assert "dataset.root=/home/somebody/c10:" in line


@pytest.mark.parametrize("words", ["--help", "--cfg job", "--info defaults", "--info config"])
def test_a_reader_that_has_seen_enough(tmp_path, words):
    command = f"{sys.executable} {ROOT / 'launch.py'} {words} | head -1; exit ${{PIPESTATUS[0]}}"
    finished = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (finished.returncode, finished.stderr) == (0, "") and finished.stdout.count("\n") == 1


@pytest.mark.parametrize("words", [["ls"], ["results", "reproduction"], ["gc", "--json"]])
def test_a_reader_that_was_never_there(tmp_path, words):
    (tmp_path / "outputs" / "runs").mkdir(parents=True)
    reader, writer = os.pipe()
    os.close(reader)
    finished = subprocess.run(
        [sys.executable, "-c", "from infer.entry import look; look()", *words],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (0, b"")


@pytest.mark.parametrize("script", ["from infer.entry import launch; launch()", "from infer.entry import look; look()"])
def test_interrupted_while_modules_load(tmp_path, script):
    """A module that takes long to load stands in for a slow disk."""
    for name in ("hydra", "filelock"):
        (tmp_path / f"{name}.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    assert process.stdout and process.stdout.readline() == "loading\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "")


def test_a_program_that_is_to_ignore_ctrl_c_ignores_it():
    look = (
        "import signal as s; from infer import entry; entry._leave_on_interrupt(); print(s.getsignal(2) is s.SIG_IGN)"
    )
    ignoring = f"trap '' INT; {sys.executable} -c '{look}'"
    finished = subprocess.run(
        ["bash", "-c", ignoring], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert finished.stdout == "True\n"


class _Trap:
    def __reduce__(self) -> tuple:
        return eval, ("1",)


_CONTENTS = {"trap": _Trap(), "list": [1], "set": {1, 2}, "path": Path("x"), "class": dict, "function": print}


@pytest.mark.parametrize("content", _CONTENTS.values(), ids=_CONTENTS)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5, "torch", "legacy"])
def test_torchs_advice_to_run_a_pickle_is_never_shown(tmp_path, content, protocol):
    path = tmp_path / "x.pt"
    if isinstance(protocol, int):
        path.write_bytes(pickle.dumps(content, protocol))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=protocol == "torch")
    try:
        load_foreign(path)
    except UsageError as error:
        told = str(error)
        assert "\n" not in told and "torch.load" not in told and "False" not in told and "safe_globals" not in told
        assert error.__suppress_context__


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/data/x"),
        OSError(5, "Input/output error", "/data/x"),
        OSError(107, "Transport endpoint is not connected"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        UsageError("x"),
    ],
)
def test_unexpected_is_for_mistakes_of_this_program(error):
    assert "unexpected" not in describe(error) and "\n" not in describe(error)
    assert "unexpected" in describe(KeyError("x")) and "unexpected" in describe(RuntimeError("shape"))


@pytest.mark.parametrize(
    "word", ["a", "a b", "it's", "'$HOME'", "'`id`'", "'\\'", "'!x'", "'\"'", "~/x", "[a]", "", "é"]
)
def test_a_shell_takes_back_what_is_printed(word):
    printed = shell_line(["x", word])
    assert shlex.split(printed) == ["x", word]
    finished = subprocess.run(["bash", "-c", f"printf '%s\\n' {printed}"], capture_output=True, text=True)
    assert finished.stdout == f"x\n{word}\n"
