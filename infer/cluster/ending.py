"""End of joblib's worker processes, together with the process that launches their jobs."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from types import FrameType

from infer.interruption import PATIENCE_S, Terminated

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_SECONDS_BETWEEN_LOOKS = 1.0
_WORKERS_NAME = "LokyProcess"
"""First part of the name that joblib gives its processes."""


def end_workers_first() -> None:
    """Let a signal that ends this process, which launches jobs, end its workers first.

    joblib would kill them or, where this process ends without it, leave them running. They could not write checkpoints.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not where nohup ignores it
            signal.signal(number, _end_workers)


def _end_workers(number: int, frame: FrameType | None) -> None:
    """Handler of ``number``: end the workers and wait for their checkpoints, then raise ``Terminated``."""
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(PATIENCE_S)
    raise Terminated(number)


@functools.cache  # once per process, however many jobs it runs
def end_with_launcher() -> None:
    """Let this process end, if it is a worker, when the process that launched it is gone."""
    if not _is_worker():
        return
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def leave_worker(code: int) -> None:
    """Exit this process with ``code``, if it is a worker: after an interrupted job joblib would give it the next."""
    if _is_worker():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _is_worker() -> bool:
    return multiprocessing.current_process().name.startswith(_WORKERS_NAME)
