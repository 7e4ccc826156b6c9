"""A SLURM cluster for the tests of this folder, where its programs are installed."""

import contextlib
import os
from collections.abc import Iterator

import pytest
from own_slurm import FOREIGN, CannotStart, Slurm, running


@pytest.fixture(scope="session")
def slurm_of_the_session() -> Iterator[Slurm]:
    """Started once; its tests are skipped where that is not possible."""
    with contextlib.ExitStack() as stack:
        try:
            slurm = stack.enter_context(running())
        except CannotStart as reason:
            pytest.skip(f"no SLURM to test with: {reason}")
        yield slurm


@pytest.fixture
def slurm(slurm_of_the_session) -> Iterator[Slurm]:
    """A cluster whose queue is empty, before and after."""
    slurm_of_the_session.clear()
    yield slurm_of_the_session
    slurm_of_the_session.clear()


@pytest.fixture
def inside_slurm(slurm, monkeypatch) -> Slurm:
    """The same, seen by this process."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.environment[name])
    return slurm
