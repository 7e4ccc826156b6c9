"""Table and report of a sweep that nobody waits for: written by who finds that all of its jobs have ended."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from infer.cluster import have_all_ended
from infer.records.sweeps import read_sweep


def collect_if_ended(folder: Path) -> bool:
    """Write table and report of the sweep in ``folder`` where none of its jobs can run any more; True if it did.

    It does not where that cannot be told (another person's jobs, or no SLURM here), and where others have done it.
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
    """Note that the sweep in ``folder`` has ended, and write its table and report."""
    from infer.reports.sweep import report_sweep

    if record := read_sweep(folder):
        record.write_ended(folder)
    report_sweep(folder)


@contextlib.contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Let one process at a time find out whether a sweep has ended; its lock ends with it, however it ends."""
    with FileLock(folder / ".collecting.lock"):
        yield
