"""Sweeps as a user types them: shared work is done once, a failure costs one row, several processes share the work."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.small_run import SMALL_TEACHERS

from infer.commands.main import run as infer

ROOT = Path(__file__).resolve().parent.parent.parent
_SHORT = (*SMALL_TEACHERS, "evaluate.steps=20", "evaluate.repeats=1")
_SMALL = (*_SHORT, "method.iterations=5", "method.group=2")
_WITHOUT_REPORT = "stages=[squeeze,generate,relabel,evaluate]"  # a job's pictures take longer than all else here
_M_AND_K = ("-m", *_SMALL, "M=1,2", "K=1,2", _WITHOUT_REPORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All tests of this file share one store."""
    return tmp_path_factory.mktemp("sweeps")


def _last_sweep(folder: Path) -> Path:
    return sorted((folder / "outputs" / "sweeps").iterdir())[-1]


def _rows(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "table.csv").open() as file:
        return list(csv.DictReader(file))


def _results(sweep: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(sweep.glob("*/result.json"))]


def _made(sweep: Path) -> dict[str, int]:
    """Artefacts made by all jobs together, by stage."""
    stages = [result["stages"] for result in _results(sweep)]
    return {stage: sum(each[stage]["made"] for each in stages) for stage in stages[0]}


@pytest.fixture(scope="module")
def first(folder, launch_in) -> tuple[str, Path]:
    """The first sweep's output and folder."""
    finished = launch_in(folder, *_M_AND_K)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, _last_sweep(folder)


def test_shared_work_is_done_once(first):
    output, sweep = first
    # 2 teachers; for each one group of two subsets, and 2 x 2 distilled sets; 4 students
    assert _made(sweep) | {"relabel": 0} == {"squeeze": 2, "generate": 6, "relabel": 0, "evaluate": 4, "report": 0}
    made = [s for result in _results(sweep) for s in result["planned"]["squeeze"]]
    assert len(made) == 2 * 1 + 2 * 2 and len(set(made)) == 2
    assert "4 jobs" in output and "M (1, 2) and K (1, 2)" in output
    assert output.index("to make") < output.index("job 0-")


def test_folders_are_named_by_what_varies(first):
    names = sorted(path.name for path in first[1].iterdir() if path.is_dir() and path.name != "figures")
    assert names[0] == "0-M=1,K=1" and names[-1] == "3-M=2,K=2"
    assert first[1].name.endswith("-M-K")


def test_the_table_has_a_row_for_each_job(first):
    rows = _rows(first[1])
    assert [(row["M"], row["K"]) for row in rows] == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]
    assert {row["state"] for row in rows} == {"done"}
    assert "CHOSEN ON THE TEST SPLIT" in (first[1] / "table.md").read_text()
    assert list(first[1].glob("*.png")) and list(first[1].glob("figures/*.svg"))


def test_the_same_sweep_again_makes_nothing(first, folder, launch_in):
    finished = launch_in(folder, *_M_AND_K)
    assert finished.returncode == 0, finished.stderr
    again = _last_sweep(folder)
    assert again != first[1] and not any(_made(again).values())
    assert [r["metrics"] for r in _results(again)] == [r["metrics"] for r in _results(first[1])]


def test_a_failed_job_costs_one_row(first, folder, launch_in, monkeypatch):
    finished = launch_in(folder, "-m", *_SMALL, "K=1", "teachers.min_top1=null,99.99,0")
    assert finished.returncode == 1
    sweep = _last_sweep(folder)
    rows = _rows(sweep)
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    pictures = [result["stages"]["report"]["made"] for result in _results(sweep) if result["status"] == "done"]
    assert pictures == [1, 0], "jobs that show the same share their pictures"
    assert "below teachers.min_top1" in rows[1]["error"] and rows[1]["log"].endswith("infer.log")
    table = (sweep / "table.md").read_bytes()
    (sweep / "table.md").unlink()
    monkeypatch.chdir(folder)  # paths in the table are relative to where the command is typed
    assert infer(["report", sweep.name]) == 1
    assert (sweep / "table.md").read_bytes() == table


def test_jobs_after_enough_failures_are_skipped(first, folder, launch_in):
    words = ["K=1", "teachers.min_top1=99.99,null,0", "sweep.stop_on_failure=1", "sweep.retry=2", "stages=[squeeze]"]
    finished = launch_in(folder, "-m", *_SMALL, *words)
    assert finished.stdout.count("The job is started again") == 2
    assert finished.returncode == 1 and "is skipped: 1 failed before it (sweep.stop_on_failure=1)" in finished.stdout
    rows = _rows(_last_sweep(folder))
    assert [row["state"] for row in rows] == ["failed", "skipped", "skipped"]
    assert "failed before it" in rows[2]["error"]


def test_settings_that_go_together_and_a_combination_that_is_left_out(first, folder, launch_in):
    """There are two teachers: the combination could not be a job."""
    words = ("M=1,2,3", "K=1,2,9", "sweep.zip=[[M,K]]", "sweep.exclude=['M>2 and K==9']", _WITHOUT_REPORT)
    finished = launch_in(folder, "-m", *_SMALL, *words)
    assert finished.returncode == 0, finished.stderr
    assert "2 jobs, and 1 that sweep.exclude leaves out" in " ".join(finished.stdout.split())
    sweep = _last_sweep(folder)
    rows = [(row["job"], row["M"], row["K"], row["state"]) for row in _rows(sweep)]
    assert rows == [("0-M=1,K=1", "1", "1", "done"), ("1-M=2,K=2", "2", "2", "done")]
    assert not any(_made(sweep).values())
    assert "K=" not in (sweep / "table.md").read_text().partition("steps along")[2].partition("→")[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-m", "M=1,2", "K=1,2,3", "sweep.zip=[[M,K]]"), "M 2 and K 3 values cannot be paired"),
        (("M=1", "sweep.points=['K=1']"), "sweep.points shape a sweep, and this is a run. Type -m"),
    ],
)
def test_combinations_that_make_no_sense_are_refused_at_once(folder, launch_in, words, says):
    finished = launch_in(folder, *_SMALL, *words)
    assert finished.returncode == 2 and len(finished.stderr.strip().splitlines()) == 1
    assert says in finished.stderr


def test_a_wrong_value_is_refused_before_the_first_job(first, folder, launch_in):
    before = _last_sweep(folder)
    finished = launch_in(folder, "-m", *_SMALL, "M=1,7")
    assert finished.returncode == 2 and len(finished.stderr.strip().splitlines()) == 1
    assert "job 1-M=7: M=7 is not possible" in finished.stderr
    assert _last_sweep(folder) == before


@pytest.mark.slow
def test_equal_steps(first, folder, launch_in):
    words = [word for word in _SMALL if not word.startswith("evaluate.steps")]
    finished = launch_in(
        folder, "-m", *words, "M=1", "K=1,3", "evaluate.steps=null", "evaluate.epochs=4", "sweep.equal_steps=true"
    )
    assert finished.returncode == 0, finished.stderr
    results = _results(_last_sweep(folder))
    # K=3, M=1: 60 composed images are one batch of 64, and K=1 has 20: four epochs are four steps
    assert [r["environment"]["student_steps"] for r in results] == [4, 4]
    assert "every job make 4 updates" in finished.stdout
    assert all(r["config"]["sweep"]["student_steps"] == 4 for r in results)


@pytest.mark.slow
def test_jobs_of_different_methods_share_a_folder(first, folder, launch_in):
    finished = launch_in(folder, "-m", *_SHORT, "method=infer,random", "ipc=2")
    assert finished.returncode == 0, finished.stderr
    assert len(_results(_last_sweep(folder))) == 2


@pytest.mark.slow
def test_forced_work_is_done_once_more_and_not_by_every_job(first, folder, launch_in):
    finished = launch_in(folder, "-m", *_SMALL, "M=1", "K=1", "worker=0,1", "baselines=[]", "force=[evaluate]")
    assert finished.returncode == 0, finished.stderr
    assert _made(_last_sweep(folder)) == {"squeeze": 0, "generate": 0, "relabel": 0, "evaluate": 1, "report": 1}


@pytest.mark.slow
def test_processes_share_the_work(folder, tmp_path):
    """Two commands typed in the same moment make every artefact once between them, in folders of their own."""
    words = [*_SMALL, "M=2", "K=6", "seed=3", "evaluate.repeats=4", "baselines=[]", f"outputs={tmp_path / 'shared'}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    commands = [[sys.executable, str(ROOT / "launch.py"), "-m", *words, f"worker={n}"] for n in range(2)]
    running = [subprocess.Popen(command, cwd=folder, env=environment) for command in commands]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    sweeps = sorted((tmp_path / "shared" / "sweeps").iterdir())
    assert len(sweeps) == 2
    (a,), (b,) = map(_results, sweeps)
    made = {stage: a["stages"][stage]["made"] + b["stages"][stage]["made"] for stage in a["planned"]}
    assert made == {stage: len(signatures) for stage, signatures in a["planned"].items()}
    assert a["metrics"] == b["metrics"]
