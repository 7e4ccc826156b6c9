"""infer watch: what jobs are at, from their files alone, and who has given no sign of life."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.records import write_json, write_run, write_sweep

from infer.commands import watch
from infer.records.names import PROGRESS

RUN, DONE = "20260101-090000-000001-digits-infer-ipc10", "20260102-090000-000001-digits-infer-ipc5"
SWEEP = "20260103-090000-000001"
AT = {
    "stage": "squeeze",
    "artefacts": [1, 4],
    "doing": "squeeze resnet8_w8",
    "done": 6400,
    "total": 23000,
    "unit": "images",
    "per_second": 450.4,
    "left_s": 36.9,
    "run_left_s": 200.0,
}


def at_work(folder: Path, silent_s: float = 0.0, **changes) -> Path:
    """Leave a progress file in the run's folder, as old as asked."""
    write_json(folder / PROGRESS, AT | changes)
    then = time.time() - silent_s
    os.utime(folder / PROGRESS, (then, then))
    return folder


def test_a_running_job_in_one_line(infer, add_run):
    at_work(add_run(RUN, status="running", metrics={}))
    add_run(DONE)
    code, out, _ = infer("watch", "--once")
    head, line, _, closing = out.splitlines()
    assert code == 0 and head.split() == "job stage unit done rate left job left state".split()
    assert line.split() == [
        RUN,
        *"squeeze squeeze resnet8_w8 6400/23000 images 450 images/s 37 s 3 min 20 s running".split(),
    ]
    assert closing == "1 job: 1 running"


def test_no_sign_of_life_is_lost_here_and_in_the_list(infer, add_run):
    at_work(add_run(RUN, status="running", metrics={}), silent_s=420)
    code, out, _ = infer("watch")  # which does not wait for it
    assert code == 1 and "lost: no sign of life for 7 min" in out and "1 lost" in out
    assert "lost: no sign of life for 7 min" in infer("ls")[1] and "no sign of life" in infer("show", RUN)[1]
    (entry,) = json.loads(infer("ls", "--json")[1])
    assert entry["state"] == "lost" and entry["error"] == "no sign of life for 7 min"


@pytest.mark.parametrize("silent_s", [0, 240])
def test_a_job_that_was_heard_of_lately_is_not_lost(infer, add_run, silent_s):
    at_work(add_run(RUN, status="running", metrics={}), silent_s=silent_s)
    assert json.loads(infer("ls", "--json")[1])[0]["state"] == "running"


def test_an_old_progress_file_of_a_job_that_ended_says_nothing(infer, add_run):
    at_work(add_run(RUN), silent_s=9000)
    assert json.loads(infer("ls", "--json")[1])[0]["state"] == "done"


def test_runs_without_progress_files_stay_what_they_say(infer, add_run):
    add_run(RUN, status="running", metrics={})
    assert json.loads(infer("ls", "--json")[1])[0]["state"] == "running"
    (entry,) = json.loads(infer("watch", "--json")[1])
    assert entry["progress"] == {} and entry["silence_s"] is None


def test_a_sweep_with_jobs_to_come(infer, outputs):
    folder = outputs / "sweeps" / SWEEP
    write_sweep(folder, {"M": ["1", "2", "4"]}, changes={1: {"status": "running"}, 2: None}, ended=None)
    at_work(folder / "1-M=2", left_s=None, per_second=None)
    _, out, _ = infer("watch", SWEEP, "--once")
    rows = [line.split() for line in out.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["0-M=1", "1-M=2", "2-M=4"]
    assert [row[-1] for row in rows] == ["done", "running", "started"]
    assert "3 jobs: 1 done, 1 running, 1 not started" in out


def test_it_watches_until_all_have_ended(infer, outputs, monkeypatch):
    folder = outputs / "sweeps" / SWEEP
    write_sweep(folder, {"M": ["1", "2"]}, changes={0: {"status": "running"}, 1: {"status": "running"}}, ended=None)
    steps = iter([("0-M=1", "done"), ("1-M=2", "failed")])

    def some_time_passes(seconds: float) -> None:
        job, status = next(steps)
        record = json.loads((folder / job / "result.json").read_text())
        write_json(folder / job / "result.json", record | {"status": status})

    monkeypatch.setattr(watch.time, "sleep", some_time_passes)
    code, out, _ = infer("watch", SWEEP)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("2 jobs")] == [
        "2 jobs: 2 running",
        "2 jobs: 1 done, 1 running",
        "2 jobs: 1 done, 1 failed",
    ]


def test_nothing_is_running(infer, add_run):
    add_run(DONE)
    code, out, _ = infer("watch")
    assert code == 0 and out.startswith("nothing is running in ")


def test_it_needs_no_torch(outputs, add_run):
    at_work(add_run(RUN, status="running", metrics={}))
    script = f"""
import sys
from infer.commands.main import run
run(["watch", "--once", "--outputs", {str(outputs)!r}])
print("torch" in sys.modules)
"""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    out = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True).stdout
    assert out.splitlines()[-1] == "False"


@pytest.mark.parametrize("place", [f"runs/{RUN}", f"sweeps/{SWEEP}"])
def test_it_ends_where_what_it_watches_is_removed(infer, outputs, monkeypatch, place):
    """Also by hand, of which nothing tells but the folder."""
    if place.startswith("runs"):
        at_work(write_run(outputs / place, status="running", metrics={}))
    else:
        write_sweep(outputs / place, {"M": ["1", "2"]}, changes={0: {"status": "running"}, 1: None}, ended=None)
    looks = iter(range(3))
    monkeypatch.setattr(watch.time, "sleep", lambda _: next(looks) == 0 and shutil.rmtree(outputs / place))
    code, out, _ = infer("watch")
    assert code == 0 and out.splitlines()[-1].endswith(" removed")
