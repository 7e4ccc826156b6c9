"""``kill -9`` at random moments: the same command ends with the same bytes, and nothing half-made is ever used."""

import time

import pytest
from helpers.small_run import SMALL_RUN
from killing import Work, check, figures, kill_among, kill_in_every_stage, reference

OFTEN = "checkpoint_minutes=0.001"
WORDS = (*SMALL_RUN, OFTEN, "evaluate.repeats=2", "baselines=[random_static]")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Work:
    return reference(tmp_path_factory.mktemp("undisturbed"), WORDS)


def test_killed_in_every_stage(undisturbed, tmp_path):
    work = Work(tmp_path / "work", WORDS)
    kill_in_every_stage(work, undisturbed.durations(), seed=0)
    assert len(work.killed) == 5
    check(work, undisturbed)


@pytest.mark.slow
def test_killed_at_fifty_random_moments(undisturbed, tmp_path, capsys):
    started, works = time.monotonic(), []
    for seed in range(1, 11):
        works.append(Work(tmp_path / str(seed), WORDS))
        kill_in_every_stage(works[-1], undisturbed.durations(), seed)
        check(works[-1], undisturbed)
    with capsys.disabled():
        print(f"\n10 stores one after another: {figures(works, time.monotonic() - started)}")


@pytest.mark.slow
def test_four_processes_of_which_random_ones_are_killed(tmp_path, capsys):
    words = (
        OFTEN,
        "teachers.epochs=10",
        "method.iterations=30",
        "method.group=1",
        "evaluate.steps=100",
        "baselines=[random_static,random_hard]",
    )
    undisturbed = reference(tmp_path / "undisturbed", words)
    started = time.monotonic()
    work = Work(tmp_path / "work", words)
    kill_among(work, undisturbed.durations(), processes=4, kills_per_stage=5, seed=0)
    check(work, undisturbed)
    with capsys.disabled():
        print(f"\n4 processes on one store: {figures([work], time.monotonic() - started)}")
