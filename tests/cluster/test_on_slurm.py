"""Jobs on a real SLURM that keeps no accounts: none is waited for in vain, and none is left behind."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import submitit
from own_slurm import wait_until

from infer.cluster import prepare, slurm, wait_for_jobs
from infer.cluster.queue import QueueWatcher
from infer.config.cluster import SlurmCluster

_ONE_SECOND = 1


class Job(submitit.helpers.Checkpointable):
    """Writes down that it starts; ends when it has started often enough and there is a file that lets it."""

    def __init__(self, starts: int) -> None:
        self.starts = starts

    def __call__(self, folder: Path, number: int) -> int:
        with (folder / f"{number}.started").open("a") as file:
            file.write("started\n")
        while _starts(folder, number) < self.starts or not (folder / f"{number}.go").exists():
            time.sleep(0.05)
        (folder / f"{number}.done").touch()
        return number


@pytest.fixture
def submit(inside_slurm, tmp_path, monkeypatch) -> Callable[..., list[submitit.SlurmJob]]:
    """Submits a number of jobs as Hydra's launcher does, after ``prepare``; returns when all have started."""
    monkeypatch.setattr(submitit.SlurmJob, "watcher", None)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", _ONE_SECOND)
    monkeypatch.setattr(slurm, "_ASK_EVERY_S", _ONE_SECOND)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where jobs find ``Job``

    def submit_jobs(number: int, starts: int = 1) -> list[submitit.SlurmJob]:
        prepare(SlurmCluster(), {}, number)
        executor = submitit.AutoExecutor(folder=tmp_path / ".submitit" / "%j", cluster="slurm")
        executor.update_parameters(timeout_min=60, mem_gb=0.2)  # not less: what comes within ten minutes is a time-out
        jobs = executor.map_array(Job(starts), [tmp_path] * number, range(number))
        wait_until(lambda: len(list(tmp_path.glob("*.started"))) == number, "all jobs have started")
        return jobs

    return submit_jobs


def _starts(folder: Path, number: int) -> int:
    return len((folder / f"{number}.started").read_text().split())


def _let_go(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / f"{number}.go").touch()


def test_all_jobs_of_an_array_end(submit, tmp_path, capsys):
    jobs = submit(3)
    assert isinstance(submitit.SlurmJob.watcher, QueueWatcher)
    _let_go(tmp_path, 0, 1, 2)
    assert [job.result() for job in jobs] == [0, 1, 2]
    wait_for_jobs(SlurmCluster(), tmp_path)
    assert capsys.readouterr().out == ""


def test_a_killed_job_is_noticed_and_the_others_are_waited_for(submit, inside_slurm, tmp_path, monkeypatch):
    jobs = submit(2)
    inside_slurm.kill(jobs[0].job_id)
    with pytest.raises(submitit.core.utils.UncompletedJobError, match="state: FAILED"):
        jobs[0].result()
    said = []

    def say(line: str, **_) -> None:
        said.append(line)
        _let_go(tmp_path, 1)  # not before it is waited for

    monkeypatch.setattr(slurm, "_SPEAK_AFTER_S", 0)
    monkeypatch.setattr(slurm, "print", say, raising=False)
    wait_for_jobs(SlurmCluster(), tmp_path)
    assert said == [f"Waiting for jobs on SLURM: {jobs[1].job_id} running"]
    assert (tmp_path / "1.done").exists() and jobs[1].result() == 1


@pytest.mark.parametrize("how", ["preempt", pytest.param("requeue", marks=pytest.mark.slow)])
def test_a_job_that_is_queued_again_is_waited_for(submit, inside_slurm, tmp_path, how):
    (job,) = submit(1, starts=2)
    _let_go(tmp_path, 0)
    getattr(inside_slurm, how)(job.job_id)
    wait_for_jobs(SlurmCluster(), tmp_path)
    assert job.result() == 0
    assert _starts(tmp_path, 0) == 2 and inside_slurm.restarts(job.job_id) == 1


def test_a_job_that_slurm_does_not_know_is_not_waited_for(inside_slurm, tmp_path):
    folder = tmp_path / ".submitit" / "4711_0"
    folder.mkdir(parents=True)
    (folder / "4711_0_submitted.pkl").touch()
    wait_for_jobs(SlurmCluster(), tmp_path)
