"""A sweep of the project with ``cluster=joblib``: jobs side by side in processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_SMALL = ("stages=[squeeze]", "teachers.archs=[resnet8_w8]", "teachers.epochs=1", "teachers.min_top1=null")


@pytest.mark.slow
def test_jobs_run_side_by_side_with_their_threads(launch_in, tmp_path):
    words = ("-m", "seed=0,1", "cluster=joblib", "cluster.processes=2", "cluster.threads=3", *_SMALL)
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 0, finished.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    records = [json.loads((sweep / job / "result.json").read_text()) for job in ("0-seed=0", "1-seed=1")]
    assert [record["status"] for record in records] == ["done", "done"]
    assert [record["environment"]["threads"] for record in records] == [3, 3]
    assert (sweep / "table.csv").is_file()


@pytest.mark.slow
def test_a_signal_to_the_sweep_ends_its_jobs_with_a_checkpoint(tmp_path):
    words = ("-m", "seed=0,1,2", "cluster=joblib", "cluster.processes=2", "stages=[squeeze]")
    words += ("teachers.archs=[resnet8_w8]", "teachers.epochs=20000", "teachers.min_top1=null")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    sweep = subprocess.Popen(
        [sys.executable, str(root / "launch.py"), *words],
        **{"cwd": tmp_path, "env": environment, "text": True},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    outputs, deadline = tmp_path / "outputs", time.monotonic() + 300
    while len(list(outputs.glob("sweeps/*/*/progress.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(5)
    sweep.send_signal(signal.SIGTERM)
    said, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 143, said
    assert said.count("interrupted") >= 2 and "2-seed=2: not started" in said
    assert len(list(outputs.rglob("checkpoint.json"))) == 2
