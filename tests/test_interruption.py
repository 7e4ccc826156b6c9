"""Signals are obeyed at once, or where the work can be kept; nobody waits for a step that takes too long."""

import signal
import subprocess
import sys
import time

import pytest

from infer import interruption as module
from infer.interruption import SIGNALS, Terminated, interruption


@pytest.mark.parametrize("number", [n for n in SIGNALS if n != signal.SIGINT])
def test_a_signal_ends_the_work_at_once(signals, number):
    with pytest.raises(Terminated) as ended:
        signal.raise_signal(number)
    assert ended.value.exit_code == 128 + number


def test_ctrl_c_stays_what_it_is(signals):
    with pytest.raises(KeyboardInterrupt) as ended:
        signal.raise_signal(signal.SIGINT)
    assert not isinstance(ended.value, Terminated)


def test_a_deferred_signal_waits_and_a_second_one_is_no_hurry(signals):
    steps = []
    with pytest.raises(Terminated) as ended, interruption.deferred() as waiting:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        steps.append(waiting.has_come)
        waiting.obey()
        steps.append("never")
    assert steps == [True] and ended.value.exit_code == 128 + signal.SIGHUP
    assert not interruption.has_come


def test_a_deferred_signal_is_obeyed_at_the_end_at_the_latest(signals):
    steps = []
    with pytest.raises(Terminated), interruption.deferred(), interruption.deferred():
        signal.raise_signal(signal.SIGTERM)
        steps.append("went on")
    assert steps == ["went on"]


def test_a_second_ctrl_c_is_obeyed_at_once(signals):
    steps = []
    with pytest.raises(KeyboardInterrupt), interruption.deferred():
        signal.raise_signal(signal.SIGINT)
        steps.append("went on")
        signal.raise_signal(signal.SIGINT)
        steps.append("never")
    assert steps == ["went on"] and not interruption.has_come


def test_patience_with_a_long_step_ends(signals, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    started = time.monotonic()
    with pytest.raises(Terminated), interruption.deferred():
        signal.raise_signal(signal.SIGTERM)
        time.sleep(30)
    assert time.monotonic() - started < 10 and not interruption.has_come


def test_whoever_handles_the_signal_already_is_asked_when_it_is_obeyed(signals):
    heard = []
    signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    interruption.handle_signals()
    with interruption.deferred() as waiting:
        signal.raise_signal(signal.SIGUSR2)
        assert heard == [] and waiting.has_come
        waiting.obey()
        assert heard == [signal.SIGUSR2] and not waiting.has_come


def test_nohup_goes_on():
    script = """
import signal
from infer.interruption import interruption
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interruption.handle_signals()
signal.raise_signal(signal.SIGHUP)
print("went on")
"""
    assert "went on" in subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
