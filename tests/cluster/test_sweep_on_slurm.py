"""Sweeps of the project, as typed on a SLURM cluster: they end and tell the truth, whatever happens to their jobs."""

import contextlib
import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.small_run import SMALL_RUN
from own_slurm import Slurm, wait_until

ROOT = Path(__file__).resolve().parents[2]
_SMALL = (*SMALL_RUN, "evaluate.repeats=1")
_RANKS = ("cluster.gpus_per_job=2", "cluster.nodes=2", "checkpoint_minutes=0.01")
_SLURM = ("cluster=slurm", "cluster.partition=debug", "cluster.memory_gb=1", "cluster.gpus=0", "cluster.cpus=1")


@contextlib.contextmanager
def _typed(slurm: Slurm, folder: Path, *words: str) -> Iterator[subprocess.Popen]:
    """``python launch.py`` on the cluster, in a folder of its own; stopped if the block ends before it does."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), *words, *_SLURM],
        cwd=folder,
        env=slurm.environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _output(process: subprocess.Popen) -> str:
    return process.communicate(timeout=180)[0]


def _sweep_folder(folder: Path) -> Path:
    (found,) = (folder / "outputs" / "sweeps").iterdir()
    return found


def _rows(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Ended:
    """A sweep of two jobs: the first was killed in the middle, the second stopped and queued again."""

    announced: str
    """Lines that a dry run of the same words had printed."""
    code: int
    output: str
    folder: Path
    requeued: str
    queue: dict[str, str]
    """States by job, at the moment when the command returned."""


@pytest.fixture(scope="module")
def ended(slurm_of_the_session, tmp_path_factory) -> Ended:
    slurm, folder = slurm_of_the_session, tmp_path_factory.mktemp("sweep")
    with _typed(slurm, folder, "-m", "seed=0,1", *_SMALL, "cluster.dry_run=true") as process:
        announced = _output(process)
    assert process.returncode == 0 and not list(folder.glob("outputs/*")), announced
    with _typed(slurm, folder, "-m", "seed=0,1", *_SMALL) as process:
        records = "outputs/sweeps/*/[01]-*/result.json"
        wait_until(lambda: len(list(folder.glob(records))) == 2 or process.poll() is not None, "both jobs work")
        assert process.poll() is None, _output(process)
        sweep = _sweep_folder(folder)
        killed, requeued = sorted(path.parent.name for path in sweep.glob(".submitit/*/*_submitted.pkl"))
        slurm.kill(killed)
        slurm.requeue(requeued)
        output = _output(process)
    return Ended(announced, process.returncode, output, sweep, requeued, slurm.squeue())


@pytest.mark.slow
def test_a_killed_job_is_lost_and_a_requeued_one_is_done(ended):
    assert ended.code == 1, ended.output
    rows = _rows(ended.folder)
    assert [(row["job"], row["state"]) for row in rows] == [("0-seed=0", "lost"), ("1-seed=1", "done")], ended.output
    assert [bool(row["test/top1_mean"]) for row in rows] == [False, True]
    for text in (ended.output, (ended.folder / "table.md").read_text()):
        assert all(word in text for word in ("0-seed=0", "1-seed=1", "lost"))


@pytest.mark.slow
def test_no_traceback_is_printed(ended):
    assert "Traceback" not in ended.output
    assert [line for line in ended.output.splitlines() if line.startswith("infer: ")], ended.output


@pytest.mark.slow
def test_the_command_returns_when_the_last_job_has_ended(ended, slurm):
    assert slurm.restarts(ended.requeued) == 1
    assert not {"PENDING", "RUNNING", "COMPLETING"} & set(ended.queue.values())


@pytest.mark.slow
def test_sbatch_gets_the_script_that_a_dry_run_shows(ended):
    (script,) = ended.folder.glob(".submitit/*/*_submission.sh")
    assert _without_time(script.read_text()) == _without_time(ended.announced)


@pytest.mark.slow
def test_a_plain_command_is_a_single_job_that_goes_on_after_preemption(slurm, tmp_path):
    before = slurm.squeue()
    with _typed(slurm, tmp_path, *_SMALL) as process:
        wait_until(
            lambda: list(tmp_path.glob("outputs/sweeps/*/0/result.json")) or process.poll() is not None, "the job works"
        )
        assert process.poll() is None, _output(process)
        (job,) = slurm.squeue().keys() - before.keys()
        slurm.preempt(job)
        output = _output(process)
    assert process.returncode == 0, output
    assert [row["state"] for row in _rows(_sweep_folder(tmp_path))] == ["done"]
    assert slurm.restarts(job) == 1
    assert job.isdigit()  # no element of an array


def test_a_job_of_two_ranks_on_two_nodes(slurm, tmp_path):
    words = (*SMALL_RUN, *_RANKS, "M=1", "stages=[squeeze]", "teachers.epochs=1", "teachers.min_top1=null")
    with _typed(slurm, tmp_path, *words) as process:
        output = _output(process)
    assert process.returncode == 0, output
    (row,) = _rows(_sweep_folder(tmp_path))
    first, second = (path.read_text() for path in sorted(_sweep_folder(tmp_path).glob(".submitit/*/*_log.out")))
    assert row["state"] == "done" and "squeeze" in first and "squeeze" not in second
    (record,) = tmp_path.glob("outputs/teachers/*/record.json")
    assert '"ranks": 2' in record.read_text()


@pytest.mark.slow
def test_a_job_of_two_ranks_on_two_nodes_goes_on_after_preemption(slurm, tmp_path):
    before = slurm.squeue()
    with _typed(slurm, tmp_path, *_SMALL, "teachers.epochs=30", *_RANKS) as process:
        checkpoint = "outputs/teachers/*/scratch/checkpoint.json"
        wait_until(lambda: list(tmp_path.glob(checkpoint)) or process.poll() is not None, "the job trains")
        assert process.poll() is None, _output(process)
        (job,) = slurm.squeue().keys() - before.keys()
        slurm.preempt(job)
        output = _output(process)
    assert process.returncode == 0, output
    sweep = _sweep_folder(tmp_path)
    assert [row["state"] for row in _rows(sweep)] == ["done"] and slurm.restarts(job) == 1
    assert len(list(sweep.glob("*/result.json"))) == 1
    first, second = (path.read_text() for path in sorted(sweep.glob(f".submitit/{job}/*_log.out")))
    assert "squeeze" in first and "squeeze" not in second


@pytest.mark.slow
def test_a_search_chooses_its_jobs_in_batches_that_run_at_once_and_goes_on(slurm, tmp_path):
    pytest.importorskip("optuna", reason="an extra")
    words = ("sweep=tune", "cluster.array_parallelism=2", *_SMALL)
    with _typed(slurm, tmp_path, *words, "sweep.trials=3") as process:
        output = _output(process)
    assert process.returncode == 0, output
    sweep = _sweep_folder(tmp_path)
    assert {row["state"] for row in _rows(sweep)} <= {"done", "pruned"} and len(_rows(sweep)) == 3
    with _typed(slurm, tmp_path, *words, "sweep.trials=4", f"sweep.resume={sweep}") as process:
        output = _output(process)
    assert process.returncode == 0, output
    rows = _rows(sweep)
    assert len(rows) == 4 and len({row["job"].partition("=")[2] for row in rows}) == 4
    assert len(list(sweep.glob(".submitit/*/*_submission.sh"))) == 3  # two jobs, one, and the one that was added


def _without_time(script: str) -> str:
    """``script`` without the time at which its sweep was typed."""
    return re.sub(r"sweeps/[\d-]+", "sweeps/", script).strip()
