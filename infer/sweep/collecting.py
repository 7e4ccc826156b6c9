"""Table and report of a detached sweep, written by the first process that finds that all of its jobs have ended."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from infer.cluster import have_all_ended
from infer.records.sweeps import read_sweep


def collect_if_ended(folder: Path) -> bool:
    """Write table and report of the sweep in ``folder`` if all of its jobs have ended; True if they were written.

    Nothing is written where this cannot be determined (jobs of another user, or no SLURM on this machine), and where
    another process has written them.
    """
    record = read_sweep(folder)
    if record is None or record.cluster != "slurm" or record.ended or folder.stat().st_uid != os.getuid():
        return False
    with collecting(folder):
        record = read_sweep(folder)
        if record is None or record.ended or not have_all_ended(folder):
            return False
        collect(folder)
    return True


def collect(folder: Path) -> None:
    """Record that the sweep in ``folder`` has ended, and write its table and report."""
    from infer.reports.sweep import report_sweep

    if record := read_sweep(folder):
        record.write_ended(folder)
    report_sweep(folder)


@contextlib.contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Context in which only one process at a time checks whether a sweep has ended.

    The lock is released with the process, even if that is killed.
    """
    with FileLock(folder / ".collecting.lock"):
        yield
