"""A run is named by what a person remembers of it; a wrong name says which ones there are."""

import pytest
from helpers.records import signature_of, stages

from infer.errors import UsageError
from infer.records.find import last_finished, pick_run, pick_runs

EARLY, LATE = "20260101-090000-000001-digits-infer-ipc10", "20260102-101112-000002-digits-random-ipc5"
SWEEP = "20260103-120000-000003-digits-infer"


@pytest.fixture(autouse=True)
def _runs(add_run):
    add_run(EARLY, stages=stages(squeeze=[signature_of("common")], generate=[signature_of("early")]))
    add_run(LATE, stages=stages(squeeze=[signature_of("common")]))
    for job in ("0", "1", "10"):
        add_run(f"{SWEEP}/{job}", stages={})


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (EARLY, EARLY),
        ("20260102", LATE),
        ("101112", LATE),
        ("random", LATE),
        (signature_of("early")[:8], EARLY),
        (f"{SWEEP}/1", f"{SWEEP}/1"),
        ("120000/10", f"{SWEEP}/10"),
        ("20260103/1", f"{SWEEP}/1"),
    ],
)
def test_one_run(outputs, word, name):
    assert pick_run(word, outputs).name == name


def test_folders(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pick_run(f"outputs/runs/{LATE}", outputs).name == LATE
    assert pick_run(str(outputs / "sweeps" / SWEEP / "10"), outputs).name == f"{SWEEP}/10"
    assert [run.name for run in pick_runs([f"outputs/sweeps/{SWEEP}/"], outputs)] == [
        f"{SWEEP}/{j}" for j in (0, 1, 10)
    ]


def test_a_sweep_stands_for_its_jobs_in_their_order(outputs):
    names = [run.name for run in pick_runs([SWEEP[:12], EARLY, "120000/1"], outputs)]
    assert names == [f"{SWEEP}/0", f"{SWEEP}/1", f"{SWEEP}/10", EARLY]


def test_a_signature_in_a_sweep_of_one_job(outputs, add_run):
    name = "20260109-000000-000000-digits/0"
    add_run(name, stages=stages(generate=[signature_of("alone")]))
    assert [run.name for run in pick_runs([signature_of("alone")[:8]], outputs)] == [name]


@pytest.mark.parametrize("word", ["2026", SWEEP, signature_of("common")[:10]])
def test_several_candidates_are_listed(outputs, word):
    with pytest.raises(UsageError, match=r"can mean [2-5] runs: .*, .*Type more of the name"):
        pick_run(word, outputs)


def test_an_unknown_name_lists_the_nearest(outputs):
    with pytest.raises(UsageError, match=f"no run in .* is called 'digit-randum-ipc5'; the nearest are {LATE}"):
        pick_run("digit-randum-ipc5", outputs)
    with pytest.raises(UsageError, match="List all runs: infer ls"):
        pick_run("ffffffff", outputs)


def test_the_last_finished_runs(outputs, add_run):
    add_run("20260104-000000-000000-digits", status="running")
    add_run("20260105-000000-000000-digits", status="failed")
    assert [run.name for run in last_finished(outputs, 2)] == [f"{SWEEP}/1", f"{SWEEP}/10"]
    with pytest.raises(UsageError, match="holds 5 finished runs and 9 are needed"):
        last_finished(outputs, 9)
