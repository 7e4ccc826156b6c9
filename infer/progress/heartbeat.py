"""``progress.json``: what a running job is at, written every few seconds for whoever watches from elsewhere."""

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
    """Write ``state()`` into ``folder`` now and then while the work inside lasts.

    Another thread does, as a long step is no death. An orderly end removes the file; one that grows old was left by a
    process that was killed.
    """
    path, ended = folder / PROGRESS, threading.Event()

    def beat() -> None:
        while True:
            with contextlib.suppress(OSError):  # a full disk is told by the work itself
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
