"""``kill -9`` at random moments: the same command ends with the same bytes, and nothing half-made is ever used."""

import time

import pytest
from helpers.small_run import SMALL_RUN, SMALL_RUN_OF_ANY_METHOD
from killing import Work, check, figures, kill_among, kill_in_every_stage, reference

TEN_MINUTES_S = 600
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


ANY_METHOD = (*SMALL_RUN_OF_ANY_METHOD, OFTEN, "evaluate.repeats=2", "ipc=2")
METHODS = {
    "infer": (*WORDS, "labeling=dynamic"),
    "sre2l": (*ANY_METHOD, "method=sre2l", "method.iterations=20"),
    "cda": (*ANY_METHOD, "method=cda", "method.iterations=20"),
    "dwa": (*ANY_METHOD, "method=dwa", "method.iterations=20"),
    "rded": (*ANY_METHOD, "method=rded"),
    "herding": (*ANY_METHOD, "method=herding", "labeling=fkd", "evaluate.steps=null", "evaluate.epochs=20"),
    "kcenter": (*ANY_METHOD, "method=kcenter"),
    "random": (*ANY_METHOD, "method=random"),
}
"""Words by method; the baselines of the first have static and hard labels."""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_killed_at_two_hundred_random_moments(method, tmp_path, capsys):
    """Twenty-five of them for each method, five in each stage."""
    words = METHODS[method]
    undisturbed = reference(tmp_path / "undisturbed", words)
    started, works = time.monotonic(), []
    for seed in range(1, 6):
        works.append(Work(tmp_path / str(seed), words))
        kill_in_every_stage(works[-1], undisturbed.durations(), seed)
        check(works[-1], undisturbed)
    with capsys.disabled():
        print(f"\n{method}: {figures(works, time.monotonic() - started)}")


@pytest.mark.slow
def test_sixteen_processes_of_which_random_ones_are_killed(tmp_path, capsys):
    words = (
        OFTEN,
        "teachers.epochs=10",
        "method.iterations=30",
        "method.group=1",
        "evaluate.steps=100",
        "baselines=[random_static,random_hard]",
    )
    undisturbed = reference(tmp_path / "undisturbed", words)
    started, works = time.monotonic(), []
    while time.monotonic() - started < TEN_MINUTES_S:
        works.append(Work(tmp_path / str(len(works)), words))
        kill_among(works[-1], undisturbed.durations(), processes=16, kills_per_stage=20, seed=len(works))
        check(works[-1], undisturbed)
    with capsys.disabled():
        print(f"\n16 processes on one store: {figures(works, time.monotonic() - started)}")
