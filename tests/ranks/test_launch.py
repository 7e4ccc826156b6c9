"""Runs of two ranks as typed: one folder, one set of lines, one result, and one line where something is wrong."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.launching import PROGRAM, ROOT, Launched, launch
from helpers.ranks import LaunchedRanks, environments, launch_ranks

_SMALL = (
    "teachers.archs=[convnet3_w32_batchnorm]",
    "teachers.epochs=1",
    "method.iterations=5",
    "K=1",
    "evaluate.steps=8",
    "evaluate.epochs=null",
    "evaluate.repeats=1",
    "baselines=[]",
    "stages=[squeeze,generate,relabel,evaluate]",
)
_LONG = (*_SMALL, "teachers.epochs=100000", "stages=[squeeze]", "checkpoint_minutes=0.001")
_PATIENCE_S = 60


def _results(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("outputs/runs/*/result.json"))]


def _alone(folder: Path, *words: str) -> str:
    ended = launch(folder, words, os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _refusal(folder: Path, *words: str, **options) -> str:
    """The one line with which two ranks refuse ``words``, having left nothing behind."""
    typed = launch_ranks(folder, *words, **options)
    assert typed.wait()[0] == 2
    assert typed.output == ["", ""] and not list(folder.glob("outputs/runs/*"))
    assert len(typed.errors) == 1, typed.errors
    return typed.errors[0]


def _ranks_of(torchrun: int) -> list[int]:
    """Processes of the ranks, by rank, that the process ``torchrun`` has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            own = dict(line.split("=", 1) for line in (folder / "environ").read_text().split("\0") if "=" in line)
            if parent == torchrun and "RANK" in own:
                found[int(own["RANK"])] = int(folder.name)
    return [found[rank] for rank in sorted(found)]


def _wait_until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def _begun(folder: Path) -> LaunchedRanks:
    """Two ranks in the middle of a training that has been written down."""
    typed = launch_ranks(folder, *_LONG)
    _wait_until(lambda: list(folder.glob("outputs/teachers/*/scratch/checkpoint.json")))
    return typed


def _assert_goes_on(folder: Path) -> None:
    """One process alone goes on from where two ranks were."""
    (path,) = folder.glob("outputs/teachers/*/scratch/checkpoint.json")
    before = json.loads(path.read_text())["progress"]["epoch"]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    out = folder.parent / "alone-out"
    alone = Launched(folder, _LONG, variables, out, folder.parent / "alone-err", PROGRAM)
    _wait_until(lambda: json.loads(path.read_text())["progress"]["epoch"] > before + 1)
    first = json.loads(path.read_text())["progress"]["history"][:before]
    assert [row["epoch"] for row in first] == list(range(1, before + 1))
    os.kill(alone.pid, signal.SIGTERM)
    alone.wait()
    assert "cannot be used" not in out.read_text()


def test_two_ranks_leave_one_run_that_one_process_reuses(tmp_path):
    folder = tmp_path / "run"
    typed = launch_ranks(folder, *_SMALL)
    assert typed.wait() == [0, 0], typed.errors
    assert typed.output[1] == "" and typed.errors == []
    assert typed.output[0].count("squeeze\n") == 1 and typed.output[0].count("evaluate\n") == 1
    (result,) = _results(folder)
    assert result["status"] == "done" and sum(stage["made"] for stage in result["stages"].values()) == 7
    assert {path.name for path in folder.iterdir()} == {"outputs"}
    assert not list(folder.glob("outputs/*/.making*")) and len(list((folder / "outputs/runs").iterdir())) == 1
    _alone(folder, *_SMALL)
    _, again = _results(folder)
    assert {stage["made"] for stage in again["stages"].values()} == {0}
    assert again["metrics"] == result["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("method=sre2l", "ipc=2"),
        ("method=rded", "ipc=2"),
        ("method=herding", "ipc=2"),
        ("labeling=fkd", "K=1", "evaluate.teacher_bn=batch", "evaluate.mix=cutmix"),
        ("labeling=dynamic", "K=1", "evaluate.teacher_bn=batch", "evaluate.accumulate=2"),
        ("analyses=[similarity]", "K=1", "stages=[squeeze,generate,relabel,evaluate,report]"),
    ],
    ids=lambda words: words[0],
)
def test_every_way_of_sharing_work(tmp_path, words):
    small = [word for word in _SMALL if word != "K=1" and ("method=" not in words[0] or "method." not in word)]
    short = ["method.iterations=5"] if "sre2l" in words[0] else []
    typed = launch_ranks(tmp_path / "run", *small, *short, *words)
    assert typed.wait() == [0, 0], typed.errors
    assert typed.output[1] == "" and typed.errors == []
    (result,) = _results(tmp_path / "run")
    assert result["status"] == "done"


def test_a_rank_that_is_killed_ends_the_other_and_the_next_start_resumes(tmp_path):
    folder = tmp_path / "run"
    typed = _begun(folder)
    os.kill(typed.processes[1].pid, signal.SIGKILL)
    assert typed.wait() == [1, -9]
    assert typed.errors == [
        "infer: rank 1 of 2 died or does not answer. What was finished is kept; the same command goes on from there"
    ]
    (result,) = _results(folder)
    assert result["status"] == "failed"
    _assert_goes_on(folder)


@pytest.mark.slow
def test_a_signal_to_all_ends_all_with_one_line_and_a_checkpoint(tmp_path):
    folder = tmp_path / "run"
    typed = _begun(folder)
    for process in typed.processes:
        os.kill(process.pid, signal.SIGTERM)
    codes = typed.wait()
    assert codes[0] == 143 and codes[1] in (130, 143)
    assert typed.errors == ["Interrupted. What was finished is kept; the same command goes on from there."]
    _assert_goes_on(folder)


def test_ranks_with_other_settings(tmp_path):
    line = _refusal(tmp_path / "run", *_SMALL, of_rank={1: ["seed=1"]})
    assert line.startswith("infer: rank 1 of 2: different settings from rank 0. Start all ranks with the same words")


def test_a_wrong_setting_is_said_once(tmp_path):
    assert "ipc=0" in _refusal(tmp_path / "run", "ipc=0")


@pytest.mark.slow
def test_more_ranks_than_images_that_pass_together(tmp_path):
    line = _refusal(tmp_path / "run", *_SMALL, "teachers.batch_size=1")
    assert line == (
        "infer: 2 ranks cannot share the 1 images that go through convnet3_w32_batchnorm together. Start at most 1, "
        "or type a larger teachers.batch_size"
    )


@pytest.mark.slow
def test_a_sweep_of_ranks(tmp_path):
    line = _refusal(tmp_path / "run", "-m", "ipc=1,2")
    assert "a sweep was started by 2 ranks" in line and "cluster.gpus_per_job=" in line


@pytest.mark.slow
def test_torchrun(tmp_path):
    """The program's own end of a run, and that of one whose second rank is killed."""
    command = ["torchrun", "--standalone", "--nproc-per-node=2", str(PROGRAM)]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run([*command, *_SMALL], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout.count("squeeze\n") == 1, ended.stderr
    assert [result["status"] for result in _results(tmp_path)] == ["done"]
    with subprocess.Popen([*command, *_LONG, "seed=1"], cwd=tmp_path, env=variables, stderr=subprocess.PIPE) as running:
        _wait_until(lambda: list(tmp_path.glob("outputs/teachers/*/scratch/checkpoint.json")))
        _, second = _ranks_of(running.pid)
        os.kill(second, signal.SIGKILL)
        errors = running.communicate()[1].decode()
    assert [line for line in errors.splitlines() if line.startswith(("infer:", "Interrupted"))] == [
        "infer: rank 1 of 2 died or does not answer. What was finished is kept; the same command goes on from there"
    ]


def test_a_port_in_use(tmp_path):
    variables = os.environ | environments(2)[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(variables["MASTER_PORT"])))
        taken.listen()
        ended = launch(tmp_path, _SMALL, variables)
    assert ended.returncode == 2 and ended.stdout == "" and not list(tmp_path.iterdir())
    (line,) = ended.stderr.splitlines()
    assert f"but port {variables['MASTER_PORT']} is in use. Type torchrun --standalone" in line
