"""End of worker processes together with the process that started them, after they have written their checkpoints."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from types import FrameType

from infer.interruption import Terminated

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PATIENCE_S = 20.0
"""Seconds that a worker may take to write a checkpoint after a signal."""
_SECONDS_BETWEEN_LOOKS = 1.0
_WORKERS_NAME = "LokyProcess"
"""First part of the name that joblib gives its processes."""


def end(workers: Sequence[BaseProcess]) -> None:
    """End ``workers`` and wait until they have written their checkpoints."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(_PATIENCE_S)


@functools.cache  # once per process, however many jobs it runs
def end_with_parent() -> None:
    """Let this process, which another one has started, end as by SIGTERM when that one is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by another process"

    def watch() -> None:
        while os.getppid() == parent.pid:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def end_workers_first() -> None:
    """Let a signal that ends this process, which launches joblib's jobs, end its workers first.

    joblib would kill them or, where this process ends without it, leave them running. They could not write checkpoints.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not where nohup ignores it
            signal.signal(number, _end_workers)


def _end_workers(number: int, frame: FrameType | None) -> None:
    """Handler of the signal ``number``, which raises ``Terminated``."""
    end(multiprocessing.active_children())
    raise Terminated(number)


def leave_worker(code: int) -> None:
    """Exit this process with ``code``, if it is joblib's: after an interrupted job it would be given the next one."""
    if is_joblibs_worker():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def is_joblibs_worker() -> bool:
    """True if joblib has started this process."""
    return multiprocessing.current_process().name.startswith(_WORKERS_NAME)
