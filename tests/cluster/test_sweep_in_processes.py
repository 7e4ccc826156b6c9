"""A sweep of the project with ``cluster=joblib``: jobs side by side in processes of this machine."""

import json

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
