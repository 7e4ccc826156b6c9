"""Marks of array elements that have ended. They are needed where elements end at the same time, since the state of
both in SLURM is still RUNNING."""

from pathlib import Path

SUBMITTED = ".submitit"
"""Name of the folder, in that of a sweep, to which submitit writes."""


def mark(sweep_folder: Path, job_id: str) -> None:
    """Record that no job of the element ``job_id`` runs any more."""
    _path(sweep_folder, job_id).touch()


def unmark(sweep_folder: Path | str, job_id: str) -> None:
    """Remove the mark of an element that was queued again."""
    _path(Path(sweep_folder), job_id).unlink(missing_ok=True)


def is_marked(sweep_folder: Path, job_id: str) -> bool:
    """True if the element has recorded that it has ended."""
    return _path(sweep_folder, job_id).exists()


def _path(sweep_folder: Path, job_id: str) -> Path:
    return sweep_folder / SUBMITTED / f"{job_id}.ended"
