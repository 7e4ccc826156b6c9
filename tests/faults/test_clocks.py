"""Nothing is judged by the clocks of two machines, which may be hours apart."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from helpers.records import write_json, write_run

from infer.commands.main import run as run_command
from infer.files import present_time, read_json
from infer.interruption import SIGNALS, Terminated
from infer.pipeline.result import RunResult
from infer.records.run import LOST, RUNNING, Run

RUN = "20260101-090000-000001-digits-infer-ipc10"
HOURS = [-5, 5]


def _at_work(outputs: Path, silent_s: float) -> Run:
    """A run that says it is running and gave a sign of life ``silent_s`` ago, by the disk's clock."""
    folder = write_run(outputs / "runs" / RUN, status=RUNNING, metrics={})
    write_json(folder / "progress.json", {})
    then = present_time(folder) - silent_s
    os.utime(folder / "progress.json", (then, then))
    return Run(RUN, folder)


@pytest.mark.parametrize("hours", HOURS)
@pytest.mark.parametrize(("silent_s", "state"), [(2, RUNNING), (420, LOST)])
def test_a_run_is_lost_or_not_whatever_the_clock_of_who_looks(tmp_path, monkeypatch, capsys, hours, silent_s, state):
    run, now = _at_work(tmp_path, silent_s), time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)
    assert run.state == state and run.silence == pytest.approx(silent_s, abs=60)
    assert run_command(["ls", "--outputs", str(tmp_path)]) == 0
    assert ("no sign of life for 7 min" in capsys.readouterr().out) == (state == LOST)
    # a job that may be at work is not taken away
    code = run_command(["rm", RUN, "--outputs", str(tmp_path)])
    assert run.folder.exists() == (state == RUNNING) == (code != 0)


def test_looking_leaves_nothing_behind(tmp_path):
    run = _at_work(tmp_path, 420)
    before = sorted(path.name for path in run.folder.iterdir())
    assert run.state == LOST
    assert sorted(path.name for path in run.folder.iterdir()) == before


def test_where_nothing_may_be_written_the_clock_of_who_looks_has_to_do(tmp_path, monkeypatch):
    run = _at_work(tmp_path, 420)

    def refused(**_):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    assert run.state == LOST and run.silence == pytest.approx(420, abs=60)


@pytest.mark.parametrize("number", [each for each in SIGNALS if each != signal.SIGINT])
def test_every_signal_of_a_batch_system_leaves_an_end_in_the_record(signals, tmp_path, resolved, number):
    result = RunResult(tmp_path, resolved(), {})
    result.begin()
    with pytest.raises(Terminated) as ended, result.recorded():
        signal.raise_signal(number)
    assert ended.value.exit_code == 128 + number
    assert read_json(tmp_path / "result.json")["status"] == "interrupted"


def test_the_signals_are_those_of_batch_systems_and_terminals():
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2} == set(SIGNALS)
