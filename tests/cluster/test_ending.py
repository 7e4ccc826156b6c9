"""The end of workers together with the process that started them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infer.cluster import ending
from infer.interruption import Terminated

_LAUNCHER = """
import multiprocessing, time
from infer.cluster import ending

def work():
    ending.end_with_parent()
    print(multiprocessing.current_process().pid, flush=True)
    time.sleep(60)

multiprocessing.get_context("fork").Process(target=work).start()
time.sleep(60)
"""
_PATIENCE_S = 30


def has_ended(pid: int) -> bool:
    """True if there is no process ``pid``, or it has ended and nobody has asked how."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="states of processes are read from /proc")
def test_a_worker_ends_when_its_launcher_is_killed():
    launcher = subprocess.Popen([sys.executable, "-c", _LAUNCHER], stdout=subprocess.PIPE, text=True)
    worker = int(launcher.stdout.readline())
    assert not has_ended(worker)
    launcher.kill()
    launcher.communicate()
    deadline = time.monotonic() + _PATIENCE_S
    while not has_ended(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert has_ended(worker)


def test_a_signal_to_the_launcher_ends_its_workers_first():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,), daemon=True)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        ending.end_workers_first()
        worker.start()
        with pytest.raises(Terminated) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert caught.value.exit_code == 128 + signal.SIGTERM and worker.exitcode == -signal.SIGTERM
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        worker.kill()


def test_only_a_worker_is_left_after_an_interrupted_job():
    ending.leave_worker(143)  # this process is none, and goes on
    leaving = "import multiprocessing as m; m.current_process().name = 'LokyProcess-2'; "
    leaving += "from infer.cluster import ending; print('said'); ending.leave_worker(143); print('not said')"
    left = subprocess.run([sys.executable, "-c", leaving], capture_output=True, text=True)
    assert (left.returncode, left.stdout) == (143, "said\n")
