"""Locks on artefacts, which the operating system releases when their holder dies.

They are ``flock``: on a shared file system it has to hold across machines (NFS with its lock service, Lustre mounted
with ``flock``).
"""

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from infer.errors import UsageError
from infer.records.names import LOCKS
from infer.store.artefact import Artefact

log = logging.getLogger(__name__)
_LOCKS_DO_NOT_WORK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EIO)


class BusyArtefact(Exception):
    """Another process is making the artefact at this moment."""


@contextlib.contextmanager
def locked(root: Path, artefact: Artefact, wait: bool, says_waiting: bool) -> Iterator[None]:
    """Hold the lock on ``artefact`` in the store at ``root``.

    Raises BusyArtefact where another process has it and ``wait`` is false; UsageError where the disk has no locks.
    """
    locks = root / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{artefact.signature[:16]}.lock", fallback_to_soft=False)
    try:
        _acquire(lock, artefact, wait, says_waiting)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _LOCKS_DO_NOT_WORK:
            raise
        raise UsageError(
            f"files cannot be locked on the disk of {root} ({error}), and locks keep two processes from "
            "making the same artefact. Mount it with locks (NFS: its lock service; Lustre: -o flock), or give another "
            "folder: outputs=<folder>"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, artefact: Artefact, wait: bool, says_waiting: bool) -> None:
    try:
        lock.acquire(timeout=1 if wait else 0)
    except Timeout:
        if not wait:
            raise BusyArtefact(artefact.name) from None
        if says_waiting:
            log.info("waiting for another process that is making %s", artefact.name)
        lock.acquire()
