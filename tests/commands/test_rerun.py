"""infer rerun makes a run again from its record, with nothing reused, and says whether it is the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infer.files import write_sealed

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("method=random", "ipc=2", "labeling=hard", "evaluate.steps=10", "evaluate.repeats=1", "baselines=[]")


def rerun(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from infer.entry import look; look()", "rerun", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory, launch_in) -> tuple[Path, Path]:
    """A folder in which a run was made, and the run's."""
    folder = tmp_path_factory.mktemp("rerun")
    finished = launch_in(folder, *WORDS, "stages=[squeeze,generate,relabel,evaluate]")
    assert finished.returncode == 0, finished.stderr
    (run,) = (folder / "outputs" / "runs").iterdir()
    return folder, run


def test_a_run_is_made_again_and_is_the_same(made):
    folder, run = made
    finished = rerun(folder, run.name, "--assert-equal", "--json")
    assert finished.returncode == 0, finished.stderr
    told = json.loads(finished.stdout)
    assert told["equal"] and told["artefacts"]["compared"] >= 2 and told["artefacts"]["unlike"] == []
    (again,) = (folder / "outputs" / ".rerun" / run.name / "runs").iterdir()
    stages = json.loads((again / "result.json").read_text())["stages"]
    assert sum(stage["made"] for stage in stages.values()) >= 2
    assert not any(stage["reused"] for stage in stages.values())


def test_what_differs_is_named_and_nothing_is_made_twice(made):
    folder, run = made
    record = run / "result.json"
    content = json.loads(record.read_text())
    content["metrics"]["test/top1"]["mean"] += 1
    write_sealed(record, content)
    finished = rerun(folder, run.name, "--assert-equal")
    assert finished.returncode == 1 and "-1.00" in finished.stdout
    assert "python launch.py" not in finished.stderr  # the repetition was there
    assert rerun(folder, run.name).returncode == 0
    assert len(list((folder / "outputs" / ".rerun" / run.name / "runs").iterdir())) == 1


def test_a_run_that_has_not_ended_is_refused(infer, add_run):
    name = "20260101-090000-000001-digits-infer-ipc10"
    add_run(name, status="failed", error="it broke")
    code, _, err = infer("rerun", name)
    assert code == 2 and "only finished runs" in err and len(err.splitlines()) == 1
