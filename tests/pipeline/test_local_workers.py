"""Processes of one run on one machine: they share its work, give the same bits, and end with it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.small_run import SMALL_RUN

from infer.context import Context
from infer.environment import threads
from infer.files import sha256
from infer.pipeline.local_workers import allot_processes
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.prepare import _threads
from infer.ranks import ranks

ROOT = Path(__file__).resolve().parents[2]
WORDS = (*SMALL_RUN, "evaluate.repeats=2", "baselines=[random_static]", "stages=[squeeze,generate,relabel,evaluate]")


def contents(outputs: Path) -> dict[str, str]:
    """Checksums of everything that was made, by the path below ``outputs``."""
    made = [path for path in outputs.glob("*/*/*.safetensors") if not path.parts[-3].startswith(".")]
    return {str(path.relative_to(outputs)): sha256(path) for path in made if "runs" not in path.parts}


def made(outputs: Path) -> dict[str, tuple[int, int]]:
    (result,) = outputs.glob("runs/*/result.json")
    stages = json.loads(result.read_text())["stages"]
    return {stage: (account["made"], account["reused"]) for stage, account in stages.items()}


def threads_of(outputs: Path) -> set[int]:
    return {json.loads(path.read_text())["threads"] for path in outputs.glob("*/*/record.json")}


def test_two_processes_make_the_same_bits(launch_in, tmp_path):
    for name, words in (("one", ["processes=1"]), ("two", ["processes=2"])):
        (tmp_path / name).mkdir()
        finished = launch_in(tmp_path / name, *WORDS, *words)
        assert finished.returncode == 0 and finished.stderr == "", finished.stderr
        assert ("2 processes share" in finished.stdout) == (name == "two") and "waiting" not in finished.stdout
    one, two = (tmp_path / name / "outputs" for name in ("one", "two"))
    assert contents(one) == contents(two) and len(contents(one)) > 10
    assert made(one) == made(two) and all(reused == 0 for _, reused in made(two).values())
    assert threads_of(one) == threads_of(two) == {1}


@pytest.fixture
def planned(make_context):
    """Processes that would share the default run with the settings given, of a machine with six threads."""

    def processes(*words: str) -> tuple[int, Context]:
        before = torch.get_num_threads()
        torch.set_num_threads(6)
        try:
            context = make_context("seed=77", *words)
            context.threads = 1
            return allot_processes(context, by_stage(plan_evaluations(context, in_sweep=False))), context
        finally:
            torch.set_num_threads(before)

    return processes


def test_auto_is_as_many_as_threads_and_never_more_than_there_is_to_make(planned):
    assert planned()[0] == 6
    assert planned("processes=2")[0] == 2
    assert planned("stages=[squeeze]")[0] == 2, "there are two teachers"
    assert planned("stages=[report]")[0] == 1


def test_memory_is_counted_before_a_process_is_added(planned, monkeypatch, capsys):
    monkeypatch.setattr("infer.pipeline.local_workers.available_memory_bytes", lambda: 2**30)
    monkeypatch.setattr("infer.pipeline.local_workers.memory_of_another_process", lambda *_: 2**29)
    assert planned("processes=5")[0] == 3
    assert "processes=5: the free memory suffices for 3" in capsys.readouterr().out
    assert planned()[0] == 3 and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("ranks", "2 ranks share every piece of work. Leave it out, or start one rank"),
        ("gpu", "a GPU has one process of a run. For more of them type -m 'worker=range(4)'"),
        ("pruned", "a job that may be pruned is watched in its own process. Type sweep.prune=false to share its work"),
    ],
)
def test_where_processes_share_nothing_a_number_that_was_typed_is_answered(
    make_context, monkeypatch, capsys, case, says
):
    context = make_context("seed=77", "processes=4", *["sweep.trials=3"] * (case == "pruned"))
    context.device = torch.device("cuda" if case == "gpu" else "cpu")
    monkeypatch.setattr(ranks, "world", 2 if case == "ranks" else 1)
    plan = by_stage(plan_evaluations(context, in_sweep=False))
    assert allot_processes(context, plan) == 1 and context.may_be_made_by_others == frozenset()
    assert capsys.readouterr().out == f"processes=4 has no effect: {says}\n"
    context.config = replace(context.config, processes="auto")
    assert allot_processes(context, plan) == 1 and capsys.readouterr().out == ""


def test_ranks_compute_with_all_of_their_threads(resolved, monkeypatch):
    config = resolved("processes=4")
    with threads(8):
        assert _threads(config, 32, torch.device("cpu")) == 2
        monkeypatch.setattr(ranks, "world", 2)
        assert _threads(config, 32, torch.device("cpu")) == 8


def _workers_of(pid: int) -> list[int]:
    """Process numbers of the workers of ``pid``: its children, but for one of multiprocessing's own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_the_workers_end_with_the_run(tmp_path, number):
    words = ["processes=2", "teachers.epochs=500", "teachers.archs=[resnet8_w8,resnet14_w8]", "stages=[squeeze]"]
    words += ["checkpoint_minutes=0.001"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "launch.py"), *words]
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while len({path.parent for path in tmp_path.glob("outputs/teachers/.making-*/scratch/*.safetensors")}) < 2:
            assert run.poll() is None
            time.sleep(0.1)
        (worker,) = _workers_of(run.pid)
        run.send_signal(number)
        _, errors = run.communicate(timeout=60)
        assert run.returncode == (130 if number == signal.SIGINT else -number)
        assert b"Traceback" not in errors
        deadline = time.monotonic() + 30
        while _is_alive(worker):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        run.kill()


@pytest.mark.parametrize("given", ["0", "many", "1.5", "true", "null"])
def test_another_number_of_processes_is_one_line(resolved, given):
    with pytest.raises(Exception, match="processes=.*give a number of processes, at least 1, or auto"):
        resolved(f"processes={given}")
