"""``progress.json``: the state of a running job, written every few seconds for other processes to read."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infer.files import write_json
from infer.records.names import PROGRESS

BEAT_S = 5.0
"""Seconds between two writes."""


@contextlib.contextmanager
def heartbeat(folder: Path, state: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Context in which ``state()`` is written into ``folder`` every ``BEAT_S`` seconds.

    A separate thread writes it, so that it is written during long steps too. The file is removed at the end of the
    context; an old file was left by a process that was killed.
    """
    path, ended = folder / PROGRESS, threading.Event()

    def beat() -> None:
        while True:
            with contextlib.suppress(OSError):  # the work itself will report a full disk
                now = {"at": datetime.now(UTC).isoformat(), "process": os.getpid()}
                write_json(path, now | state())
            if ended.wait(BEAT_S):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            path.unlink()
