"""After an array element: it is queued again, gets more memory, or its sweep is collected; SLURM itself is a fake."""

import json
import os
import threading
from pathlib import Path

import pytest
from helpers.records import write_sweep

from infer.cluster import launcher_settings
from infer.cluster.marks import is_marked, mark, unmark
from infer.commands.main import run as infer
from infer.config.cluster import SlurmCluster
from infer.sweep import aftermath, collecting

_COMMAND = '#!/bin/sh\necho "{name} $*" >> {log}\ncat {answer} 2>/dev/null || exit 0\n'


class FakeSlurm:
    """Answers of SLURM's commands, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("squeue", "scontrol", "sbatch"):
            content = _COMMAND.format(name=name, log=folder / "asked", answer=folder / f"{name}.answer")
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)
        self.asked()

    def answers(self, **texts: str) -> None:
        """Set what a command prints."""
        for name, text in texts.items():
            (self._folder / f"{name}.answer").write_text(text)

    def asked(self) -> list[str]:
        """Commands since the last question, but for those that ask for states; it forgets them."""
        path = self._folder / "asked"
        lines = path.read_text().splitlines() if path.is_file() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("squeue")]


@pytest.fixture
def fake(tmp_path, monkeypatch) -> FakeSlurm:
    """SLURM, which calls the element of this process running."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, value in {"JOB_ID": "9", "ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "1", "MEM_PER_NODE": "3072"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.delenv("INFER_MEMORY_GROWN", raising=False)
    fake = FakeSlurm(tmp_path / "bin")
    fake.answers(squeue="RUNNING\n")
    return fake


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A sweep of two jobs, elements 7_0 and 7_1, of which none has left a record."""
    folder = write_sweep(
        tmp_path / "outputs" / "sweeps" / "s",
        {"M": ["1", "2"]},
        changes={0: None, 1: None},
        ended=None,
        cluster="slurm",
    )
    for job in ("7_0", "7_1"):
        (folder / ".submitit" / job).mkdir(parents=True)
        (folder / ".submitit" / job / f"{job}_submitted.pkl").write_bytes(b"x")
    return folder


def _after(sweep: Path, code: int, *options: str) -> None:
    aftermath.main([str(sweep), *options, str(code)])


def _record(sweep: Path, job: str, **content: object) -> None:
    (sweep / job).mkdir(exist_ok=True)
    (sweep / job / "result.json").write_text(json.dumps(content))


def _reports(sweep: Path) -> bool:
    return (sweep / "report.html").is_file()


def test_a_killed_element_is_queued_again_as_often_as_allowed(fake, sweep):
    for _ in range(2):
        _after(sweep, 137, "--retry=2")
        assert fake.asked() == ["scontrol requeue 7_1"] and not is_marked(sweep, "7_1")
    _after(sweep, 137, "--retry=2")
    assert fake.asked() == [] and is_marked(sweep, "7_1")


def test_an_element_whose_job_has_failed_is_queued_again(fake, sweep):
    _record(sweep, "1-M=2", status="failed", error="x", environment={"slurm_job": "7_1"})
    _after(sweep, 0, "--retry=1")
    assert fake.asked() == ["scontrol requeue 7_1"]


@pytest.mark.parametrize("state", ["COMPLETING\n", "PENDING\n", "", "CANCELLED\n"])
def test_an_element_that_slurm_ends_or_has_queued_again_is_left_alone(fake, sweep, state):
    fake.answers(squeue=state)
    _after(sweep, 255, "--retry=1", "--grow-memory", "--collect")
    assert fake.asked() == [] and not is_marked(sweep, "7_1")


def test_jobs_of_other_elements_and_good_ones_start_nothing(fake, sweep):
    _record(sweep, "0-M=1", status="failed", error="x", environment={"slurm_job": "7_0"})
    _record(sweep, "1-M=2", status="done", environment={"slurm_job": "7_1"})
    _after(sweep, 0, "--retry=1", "--grow-memory")
    assert fake.asked() == [] and is_marked(sweep, "7_1")


def test_twice_the_memory_is_given_once(fake, sweep, monkeypatch):
    fake.answers(sbatch="12\n")
    _after(sweep, 137, "--grow-memory", "--retry=1")
    script = sweep / ".submitit" / "7" / "7_submission.sh"
    assert fake.asked() == [f"sbatch --parsable --array=1 --mem=6144M {script}"]
    assert (sweep / ".submitit" / "12_1" / "12_1_submitted.pkl").read_bytes() == b"x" and is_marked(sweep, "7_1")
    monkeypatch.setenv("INFER_MEMORY_GROWN", "1")
    _after(sweep, 137, "--grow-memory")
    assert fake.asked() == []


@pytest.mark.parametrize(
    ("code", "said", "grows"),
    [
        (137, "", True),
        (
            1,
            "slurmstepd: error: Detected 1 oom_kill event in StepId=9.0. Some of the step tasks have been OOM Killed.",
            True,
        ),
        (143, "slurmstepd: error: Exceeded job memory limit at some point.", True),
        (1, "Traceback (most recent call last):", False),
        (0, "Detected 1 oom_kill event", False),
    ],
)
def test_what_is_taken_for_a_lack_of_memory(fake, sweep, code, said, grows):
    fake.answers(sbatch="12\n")
    (sweep / ".submitit" / "7_1" / "7_1_0_log.err").write_text(f"{said}\n")
    _after(sweep, code, "--grow-memory")
    assert bool(fake.asked()) == grows


def test_memory_that_slurm_does_not_have_is_said(fake, sweep, capsys):
    fake.answers(sbatch="")
    sbatch = Path(os.environ["PATH"].partition(":")[0], "sbatch")
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: Memory specification can not be satisfied' >&2\nexit 1\n")
    _after(sweep, 137, "--grow-memory")
    assert "7_1 cannot be started again: sbatch: error: Memory specification" in capsys.readouterr().out
    assert is_marked(sweep, "7_1")


def test_the_last_of_two_that_end_side_by_side_collects(fake, sweep, monkeypatch):
    """SLURM calls both running until their scripts are through."""
    collected = []
    monkeypatch.setattr(aftermath, "collect", collected.append)
    fake.answers(squeue="7_0|RUNNING|n1\n7_1|RUNNING|n1\n")
    monkeypatch.setattr(aftermath.Element, "is_running", True)
    elements = [aftermath.Element(sweep, job) for job in ("7_0", "7_1")]
    options = aftermath.argparse.Namespace(folder=sweep, retry=0, grow_memory=False, collect=True, code=0)
    threads = [threading.Thread(target=aftermath._after, args=(element, options)) for element in elements]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collected == [sweep]


def test_a_queue_that_cannot_be_asked_ends_nothing(fake, sweep, monkeypatch):
    monkeypatch.setenv("PATH", str(sweep))
    mark(sweep, "7_0")
    assert not collecting.have_all_ended(sweep)
    mark(sweep, "7_1")
    assert collecting.have_all_ended(sweep)
    unmark(sweep, "7_1")
    assert not collecting.have_all_ended(sweep)


@pytest.mark.parametrize(("queue", "state"), [("", "lost"), ("7_0|PENDING|\n7_1|PENDING|\n", "not started")])
def test_a_report_knows_what_became_of_jobs_that_were_killed(fake, sweep, monkeypatch, queue, state):
    fake.answers(squeue=queue)
    monkeypatch.chdir(sweep.parents[2])
    assert infer(["report", "s"]) == 1
    assert (sweep / "table.csv").read_text().count(f",{state},") == 2
    assert bool(json.loads((sweep / "sweep.json").read_text())["ended"]) == (state == "lost")


def test_watching_ends_with_the_report_of_jobs_that_were_killed(fake, sweep, monkeypatch, capsys):
    fake.answers(squeue="")
    monkeypatch.chdir(sweep.parents[2])
    monkeypatch.setattr("infer.commands.watch.time.sleep", lambda _: None)
    assert infer(["watch", "s"]) == 1
    assert "2 jobs: 2 lost" in capsys.readouterr().out and _reports(sweep)


def test_another_persons_sweep_is_not_looked_for_in_the_queue(fake, sweep, monkeypatch):
    fake.answers(squeue="")
    monkeypatch.setattr(collecting.os, "getuid", lambda: 12345)
    assert not collecting.collect_if_ended(sweep)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("cluster=slurm", None),
        ("cluster=local sweep.retry=2", None),
        ("cluster=slurm sweep.retry=2", "--retry=2"),
        ("cluster=slurm cluster.detach=true cluster.grow_memory=true", "--grow-memory --collect"),
    ],
)
def test_an_element_ends_with_it_where_there_is_need(resolved, tmp_path, words, options):
    command = aftermath.command(resolved(*words.split()), tmp_path)
    assert (command and command.partition(f"{tmp_path} ")[2]) == options


@pytest.mark.parametrize(
    ("settings", "launcher"),
    [
        ({"jobs_per_node": 4, "gpus": 0}, {"tasks_per_node": 4, "mem_gb": 64, "gpus_per_node": 0}),
        ({"jobs_per_gpu": 2}, {"tasks_per_node": 2, "mem_gb": 32, "gpus_per_node": 1}),
        ({"jobs_per_gpu": 2, "jobs_per_node": 8}, {"tasks_per_node": 8, "mem_gb": 128, "gpus_per_node": 4}),
        ({"jobs_per_node": 2, "memory_gb": None}, {"tasks_per_node": 2, "mem_gb": None, "gpus_per_node": 2}),
        ({}, {}),
    ],
)
def test_jobs_of_one_element_add_up(tmp_path, settings, launcher):
    found = launcher_settings(SlurmCluster(**settings), tmp_path, None)
    del found["setup"]
    parallel = {"array_parallelism": 16 // launcher["tasks_per_node"]} if launcher else {}
    assert found == launcher | parallel
