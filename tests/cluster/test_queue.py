"""States of squeue as states that submitit waits by."""

import subprocess

import pytest

from infer.cluster.queue import FORGOTTEN, QueueWatcher


@pytest.fixture
def answer(monkeypatch):
    """Sets what squeue prints; None: it fails."""

    def set_answer(text: str | None) -> None:
        def check_output(command, shell):
            if text is None:
                raise subprocess.CalledProcessError(1, command)
            return text.encode()

        monkeypatch.setattr(subprocess, "check_output", check_output)

    return set_answer


def _watcher(*jobs: str) -> QueueWatcher:
    watcher = QueueWatcher(delay_s=60)
    for job in jobs:
        watcher.register_job(job)
    watcher.update()
    return watcher


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("PENDING", False),
        ("CONFIGURING", False),
        ("RUNNING", False),
        ("SUSPENDED", False),
        ("COMPLETING", False),
        ("REQUEUE_HOLD", False),
        ("SPECIAL_EXIT", False),
        ("A_STATE_TO_COME", False),
        ("COMPLETED", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("TIMEOUT", True),
        ("OUT_OF_MEMORY", True),
        ("NODE_FAIL", True),
        ("PREEMPTED", True),
    ],
)
def test_which_states_are_an_end(answer, state, ended):
    answer(f"7_0|{state}|n1\n")
    watcher = _watcher("7_0")
    assert watcher.is_done("7_0", mode="cache") is ended
    assert watcher.get_state("7_0", mode="cache") == state


def test_a_job_that_the_queue_no_longer_holds_has_ended(answer):
    answer("8_0|RUNNING|n1\n")
    watcher = _watcher("7", "8_0")
    assert watcher.get_state("7", mode="cache") == FORGOTTEN
    assert watcher.is_done("7", mode="cache") and not watcher.is_done("8_0", mode="cache")


def test_an_empty_queue_ends_every_job(answer):
    answer("")
    assert _watcher("7").is_done("7", mode="cache")


def test_a_question_that_fails_ends_no_job(answer):
    answer(None)
    watcher = _watcher("7_0")
    assert not watcher.is_done("7_0", mode="cache")
    answer("7_0|RUNNING|n1\n")
    watcher.update()
    assert watcher.get_state("7_0", mode="cache") == "RUNNING"


@pytest.mark.parametrize("pending", ["7_[2-3%4]", "7_[2,3]", "7_[2-3]"])
def test_elements_of_an_array_that_stand_in_one_line(answer, pending):
    answer(f"{pending}|PENDING|\n7_0|RUNNING|n1\n7_1|COMPLETED|n2\n")
    watcher = _watcher("7_0", "7_1", "7_2", "7_3")
    states = [watcher.get_state(job, mode="cache") for job in ("7_0", "7_1", "7_2", "7_3")]
    assert states == ["RUNNING", "COMPLETED", "PENDING", "PENDING"]


def test_a_job_is_asked_for_until_it_ends(answer):
    answer("7_0|COMPLETED|n1\n")
    watcher = _watcher("7_0")
    assert watcher.num_calls == 1
    watcher.update()
    assert watcher.num_calls == 1
