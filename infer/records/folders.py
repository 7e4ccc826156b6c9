"""Folders of runs, of sweeps and of their jobs under ``outputs/``, found without importing torch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.files import walk_links
from infer.records.names import LOCKS, RESULT, RUNS, SNAPSHOT, SWEEP, SWEEPS, TRASH
from infer.records.run import Run
from infer.records.sweeps import SweepRecord, read_sweep


def find_runs(outputs: Path, planned: bool = False) -> list[Run]:
    """All runs and sweep jobs under ``outputs`` in the order of their names, which begin with the start time.

    With ``planned``, jobs that have not started yet are included. Raises UsageError where there is no such folder.
    """
    _require_folder(outputs)
    runs = [Run(folder.relative_to(outputs / RUNS).as_posix(), folder) for folder in _run_folders(outputs / RUNS)]
    for sweep in _sweep_folders(outputs / SWEEPS):
        runs += [job for job in sweep_jobs(sweep) if planned or (job.folder / RESULT).is_file()]
    return sorted(runs, key=lambda run: _in_order(run.name))


def all_records(outputs: Path) -> tuple[list[Run], list[str]]:
    """All runs and jobs with a record in and below ``outputs``, and reasons why the list may not be complete.

    Names are paths relative to ``outputs``. Links are followed, and the trash is left out. Raises UsageError where
    there is no such folder.
    """
    _require_folder(outputs)
    runs, unseen = [], []
    errors: list[OSError] = []
    for here, folders, files in walk_links(outputs, lambda name: name not in (TRASH, LOCKS), errors):
        if RESULT in files:
            plan = _plan(here.parent)
            has_ended = plan is not None and plan.ended is not None
            runs.append(Run(here.relative_to(outputs).as_posix(), here, has_ended=has_ended))
        else:
            unseen += [f"{here / name} leads nowhere" for name in files if _leads_nowhere(here / name)]
        if not folders and not files and here != outputs and (here.is_symlink() or here.is_mount()):
            unseen.append(f"{here} is another disk, which is empty")
    unseen += [f"{error.filename} cannot be read ({error.strerror})" for error in errors]
    return sorted(runs, key=lambda run: _in_order(run.name)), unseen


def sweep_jobs(sweep: Path) -> list[Run]:
    """The jobs of the sweep in the folder ``sweep`` in order: those with a record, and those in its plan."""
    plan = _plan(sweep)
    planned = {job.folder: job for job in plan.jobs} if plan else {}
    have_ended = plan is not None and plan.ended is not None
    recorded = [folder.name for folder in _folders(sweep) if (folder / RESULT).is_file()]
    name = sweep.resolve().name
    misses_snapshot = plan is not None and plan.snapshot and not (sweep / SNAPSHOT).is_dir()
    removed = plan.removed if plan else []
    return [
        Run(f"{name}/{job}", sweep / job, planned.get(job), have_ended, misses_snapshot, job in removed)
        for job in sorted({*planned, *recorded}, key=_in_order)
    ]


def is_sweep(folder: Path) -> bool:
    """True if ``folder`` is that of a sweep."""
    return (folder / SWEEP).is_file() or (folder.is_dir() and folder.resolve().parent.name == SWEEPS)


def require_there(outputs: Path) -> None:
    """Raise UsageError unless there is a folder ``outputs``."""
    if not outputs.is_dir():
        raise UsageError(f"there is no folder {outputs}; go to where launch.py was typed, or give --outputs DIR")


def _require_folder(outputs: Path) -> None:
    require_there(outputs)
    is_inside = outputs.name in (RUNS, SWEEPS) and not any((outputs / name).is_dir() for name in (RUNS, SWEEPS))
    if is_inside and any(outputs.glob(f"*/{RESULT}" if outputs.name == RUNS else f"*/{SWEEP}")):
        raise UsageError(f"{outputs} lies inside the outputs folder. Type --outputs {outputs.parent}")


def _plan(sweep: Path) -> SweepRecord | None:
    """The plan of a sweep; None for a sweep of an earlier version or with a damaged plan, whose jobs have records."""
    try:
        return read_sweep(sweep)
    except (OSError, UsageError):
        return None


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _run_folders(parent: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The folders of runs below ``parent``, also in folders into which users have sorted them.

    A link back to one of the folders ``above`` is not followed.
    """
    for folder in _folders(parent):
        if (folder / RESULT).is_file():
            yield folder
        elif (here := folder.resolve()) not in above:
            yield from _run_folders(folder, above | {here, parent.resolve()})


def _sweep_folders(parent: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The folders of sweeps below ``parent``, as ``_run_folders`` returns those of runs."""
    for folder in _folders(parent):
        if (folder / SWEEP).is_file() or any((job / RESULT).is_file() for job in _folders(folder)):
            yield folder
        elif (here := folder.resolve()) not in above:
            yield from _sweep_folders(folder, above | {here, parent.resolve()})


def _folders(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # it does not exist, or cannot be read, which ``all_records`` reports
        return []


def _in_order(name: str) -> list[Any]:
    """Sort key that puts job 10 after job 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
