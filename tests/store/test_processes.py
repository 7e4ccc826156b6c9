"""Several processes on one store: one makes an artefact, the others wait for it, or take over when it is killed."""

import logging
import multiprocessing
import time
from pathlib import Path

import pytest
from number import Number

from infer.store import BusyArtefact, Store

STARTED = multiprocessing.get_context("spawn")


class Slow(Number):
    """Notes each maker beside the store, then takes ``seconds``."""

    seconds = 0.3

    def make(self, workspace):
        with (workspace.folder.parents[1] / "makers").open("a") as file:
            file.write("x")
        time.sleep(self.seconds)
        return super().make(workspace)


class Endless(Slow):
    seconds = 600


def _obtain(root: Path, artefact: type[Number], log: Path) -> None:
    logging.basicConfig(filename=log, level=logging.INFO)
    _, made = Store(root).obtain(artefact(3))
    log.with_suffix(".made").write_text(str(made))


@pytest.fixture
def start(tmp_path):
    """Starts a process that asks for an artefact; all end with the test."""
    processes = []

    def start(artefact: type[Number], name: str) -> multiprocessing.Process:
        process = STARTED.Process(target=_obtain, args=(tmp_path, artefact, tmp_path / f"{name}.log"))
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


def _wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_several_processes_one_makes_it(tmp_path, start):
    processes = [start(Slow, str(number)) for number in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "makers").read_text() == "x"
    assert sorted((tmp_path / f"{number}.made").read_text() for number in range(3)) == ["False", "False", "True"]


@pytest.mark.slow
def test_the_one_that_waits_takes_over_when_the_maker_is_killed(tmp_path, start):
    makers, log = tmp_path / "makers", tmp_path / "second.log"
    first = start(Endless, "first")
    _wait_until(makers.exists)
    second = start(Slow, "second")
    _wait_until(lambda: log.exists() and "waiting for another process" in log.read_text())
    with pytest.raises(BusyArtefact):
        Store(tmp_path).obtain(Slow(3), wait=False)
    assert makers.read_text() == "x"
    first.kill()
    second.join()
    assert second.exitcode == 0
    assert makers.read_text() == "xx" and (tmp_path / "second.made").read_text() == "True"
    assert not Store(tmp_path).obtain(Slow(3), wait=False)[1]


def test_the_lock_of_a_killed_maker_is_free(tmp_path, start):
    first = start(Endless, "first")
    _wait_until((tmp_path / "makers").exists)
    first.kill()
    first.join()
    assert not Store(tmp_path).exists(Slow(3))
    assert Store(tmp_path).obtain(Slow(3), wait=False)[1]
