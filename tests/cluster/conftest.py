"""A SLURM cluster for the tests of this folder, where its programs are installed."""

import os
from collections.abc import Iterator

import pytest
from own_slurm import CannotStart, Slurm, running


@pytest.fixture(scope="session")
def slurm_of_the_session() -> Iterator[Slurm]:
    """Started once; its tests are skipped where that is not possible."""
    cluster = running()
    try:
        slurm = cluster.__enter__()
    except CannotStart as reason:
        pytest.skip(f"no SLURM to test with: {reason}")
    try:
        yield slurm
    finally:
        cluster.__exit__(None, None, None)


@pytest.fixture
def slurm(slurm_of_the_session) -> Iterator[Slurm]:
    """A cluster whose queue is empty, before and after."""
    slurm_of_the_session.clear()
    yield slurm_of_the_session
    slurm_of_the_session.clear()


@pytest.fixture
def inside_slurm(slurm, monkeypatch) -> Slurm:
    """The same, seen by this process."""
    for name in os.environ.keys() - slurm.environment.keys():
        monkeypatch.delenv(name)
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    return slurm
