"""Sweeps on SLURM that nobody waits for: frozen when submitted, started again where they fail, collected at the end."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from own_slurm import Slurm, wait_until

ROOT = Path(__file__).resolve().parents[2]
_SMALL = ("stages=[squeeze]", "teachers.archs=[resnet8_w8]", "teachers.epochs=1", "teachers.min_top1=null")
_SLURM = ("cluster=slurm", "cluster.memory_gb=1", "cluster.gpus=0", "cluster.cpus=1", "cluster.detach=true")


def _submitted(slurm: Slurm, folder: Path, *words: str, root: Path = ROOT) -> Path:
    """The folder of the sweep that was typed in ``folder``, once its command has returned."""
    typed = subprocess.run(
        [sys.executable, str(root / "launch.py"), *words, *_SLURM],
        cwd=folder,
        env=slurm.environment | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert typed.returncode == 0, typed.stderr
    (sweep,) = (folder / "outputs" / "sweeps").iterdir()
    assert f"infer watch {sweep.name}" in " ".join(typed.stdout.split())
    return sweep


def _wait_for_report(slurm: Slurm, sweep: Path) -> list[dict[str, str]]:
    """The rows of the table that the last job writes."""
    try:
        wait_until(lambda: (sweep / "report.html").is_file() or not _alive(slurm), "the sweep has ended", 150)
        assert (sweep / "report.html").is_file()
    except (TimeoutError, AssertionError) as error:
        logs = [log.read_text()[-2000:] for log in sorted(sweep.glob(".submitit/*/*_log.*"))]
        raise AssertionError(f"{slurm.squeue()}\n" + "\n".join(logs)) from error
    with (sweep / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _alive(slurm: Slurm) -> bool:
    return bool({"PENDING", "RUNNING", "COMPLETING"} & set(slurm.squeue().values()))


def test_edits_while_jobs_wait_in_the_queue_change_nothing(slurm, tmp_path):
    """And the last job to end, alone, writes the report; here it is the only one."""
    checkout = tmp_path / "checkout"
    for name in ("infer", "conf"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", checkout)
    with slurm.holding():
        sweep = _submitted(slurm, checkout, *_SMALL, root=checkout)
        with (checkout / "conf" / "config.yaml").open("a") as file:
            file.write("ipc: 3\n")
        (checkout / "infer" / "pipeline" / "run.py").write_text("raise SystemError('edited')\n")
    assert [row["state"] for row in _wait_for_report(slurm, sweep)] == ["done"]
    records = [json.loads(path.read_text()) for path in sweep.glob("*/result.json")]
    assert [record["config"]["ipc"] for record in records] == [10]
    assert json.loads((sweep / "sweep.json").read_text())["ended"]


@pytest.mark.slow
def test_jobs_of_one_element_and_one_that_is_killed_and_started_again(slurm, tmp_path):
    words = ("seed=0,1,2", "cluster.jobs_per_node=2", "sweep.retry=1", *_SMALL)
    sweep = _submitted(slurm, tmp_path, "-m", *words)
    wait_until(lambda: (sweep / "2-seed=2" / "result.json").is_file(), "the last job works")
    (second,) = {path.parent.name for path in sweep.glob(".submitit/*_1/*_submitted.pkl")}
    slurm.kill(second)
    assert [row["state"] for row in _wait_for_report(slurm, sweep)] == ["done"] * 3
    assert slurm.restarts(second) == 1
    records = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/result.json"))]
    jobs = [record["environment"]["slurm_job"] for record in records]
    assert jobs[0] == jobs[1] != jobs[2] == second
    assert [record["environment"]["threads"] for record in records] == [1, 1, 1]


@pytest.mark.slow
def test_a_job_that_is_killed_for_memory_gets_twice_as_much_once(slurm, tmp_path):
    sweep = _submitted(slurm, tmp_path, "seed=3", "cluster.grow_memory=true", *_SMALL)
    for memory in ("1G", "2G"):
        wait_until(lambda: list(sweep.glob("*/progress.json")), "the job works")
        (job,) = [job for job, state in slurm.squeue().items() if state == "RUNNING"]
        assert memory in slurm.ask("scontrol", "show", "job", job)
        for path in sweep.glob("*/progress.json"):
            path.unlink()
        slurm.kill(job)
        wait_until(lambda job=job: slurm.squeue()[job] == "FAILED", "it has ended")
    assert [row["state"] for row in _wait_for_report(slurm, sweep)] == ["lost"]
    assert len(list(sweep.glob(".submitit/*/*_submitted.pkl"))) == 2
