"""The progress file of a run: there from the first second to the last, and always whole."""

import json
import time

import pytest

from infer.progress import heartbeat as module
from infer.progress.heartbeat import heartbeat
from infer.records.names import PROGRESS


def wait_for(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_written_again_and_again_and_goes_with_an_orderly_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    state = {"done": 1}
    path = tmp_path / PROGRESS
    with heartbeat(tmp_path, lambda: state):
        wait_for(path.exists)
        first = json.loads(path.read_text())
        state = {"done": 2}
        wait_for(lambda: json.loads(path.read_text())["done"] == 2)
    assert first["done"] == 1 and first.keys() == {"at", "process", "done"}
    assert list(tmp_path.iterdir()) == []


def test_it_goes_with_a_failure_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), heartbeat(tmp_path, dict):
        wait_for((tmp_path / PROGRESS).exists)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_error_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    (tmp_path / "file").write_text("")
    with heartbeat(tmp_path / "file", dict):
        time.sleep(0.05)
