"""Marks of array elements that have ended, for elements that end side by side: SLURM still calls both running."""

from pathlib import Path

SUBMITTED = ".submitit"
"""The folder in a sweep's that submitit writes to."""


def mark(sweep_folder: Path, job_id: str) -> None:
    """Note that no job of the element ``job_id`` runs any more."""
    _path(sweep_folder, job_id).touch()


def unmark(sweep_folder: Path | str, job_id: str) -> None:
    """Take the mark of an element away, which was queued again."""
    _path(Path(sweep_folder), job_id).unlink(missing_ok=True)


def is_marked(sweep_folder: Path, job_id: str) -> bool:
    """True if the element has said that it has ended."""
    return _path(sweep_folder, job_id).exists()


def _path(sweep_folder: Path, job_id: str) -> Path:
    return sweep_folder / SUBMITTED / f"{job_id}.ended"
