"""Garbage of the store: artefacts that no run refers to, folders in the trash, and reasons why some may be needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from infer.commands import trash
from infer.records.artefacts import (
    DamagedArtefact,
    artefact_folders,
    bytes_on_disk,
    kind_folders,
    read_record,
    short_signature,
)
from infer.records.folders import all_records
from infer.records.names import LOCKS, MAKING, RECORD, SET_ASIDE
from infer.records.run import DONE, RUNNING, UNREADABLE, Run


@dataclass(frozen=True)
class Garbage:
    """A folder that is not needed."""

    folder: Path
    reason: str
    """Description of the reason why it is not needed."""
    num_bytes: int


@dataclass(frozen=True)
class Trashed:
    """A folder of the trash, with everything that was moved there at one time."""

    folder: Path
    root: Path
    """Folder to which the paths in ``folder`` are relative."""
    num_bytes: int

    def artefacts(self) -> list[Path]:
        """Folders of the complete artefacts in it, and links in place of such folders."""
        named = (path for path in self.folder.rglob("*") if short_signature(path))
        return sorted(path for path in named if path.is_symlink() or (path / RECORD).is_file())


@dataclass(frozen=True)
class Survey:
    """State of a store."""

    runs: list[Run]
    needed: set[str]
    """Short signatures of the artefacts that runs use or plan."""
    garbage: list[Garbage]
    trashed: list[Trashed]
    doubts: list[str]
    """Reasons why some of the garbage may be needed after all; empty where there is nothing to remove."""


def survey(outputs: Path) -> Survey:
    """Find all runs, artefacts, garbage and trash under ``outputs``."""
    runs, unseen = all_records(outputs)
    trashed = trashed_in(outputs)
    stored = [*(folder for each in trashed for folder in each.artefacts()), *artefact_folders(outputs)]
    needed, unknown = _needed(stored, runs)
    garbage = [*_unreferenced(outputs, needed), *_leftovers(outputs, runs)]
    doubts = [*unseen, *_without_runs(outputs, runs), *unknown, *_unplanned(runs)]
    return Survey(runs, needed, garbage, trashed, doubts if garbage or trashed else [])


def take_away(found: Survey, outputs: Path, now: datetime) -> None:
    """Move the garbage to the trash, after moving artefacts that a run needs again back out of the trash.

    Artefacts may be needed again after a disk with runs was mounted again, for example.
    """
    for each in found.trashed:
        for folder in each.artefacts():
            if short_signature(folder) in found.needed:
                trash.put_back(folder, each.folder, each.root)
    for garbage in found.garbage:
        trash.set_aside(garbage.folder, outputs, now)


def trashed_in(outputs: Path) -> list[Trashed]:
    """Folders of the trash under ``outputs``, in the order of time for each root."""
    return [Trashed(folder, root, bytes_on_disk(folder)) for folder, root in trash.trash_folders(outputs)]


def _without_runs(outputs: Path, runs: list[Run]) -> list[str]:
    return [] if runs else [f"no run was found below {outputs}, so it is unknown what is needed"]


def _unplanned(runs: list[Run]) -> list[str]:
    unknown = [run for run in runs if run.state in (UNREADABLE, RUNNING) and not run.plan]
    return [f"what {run.name} ({run.state}) needs is not recorded" for run in unknown]


def _needed(artefacts: list[Path], runs: list[Run]) -> tuple[set[str], list[str]]:
    """Short signatures of the artefacts that runs use or plan, with their parents among ``artefacts``; and doubts.

    Where two folders hold the same artefact, the last one is read.
    """
    there = {str(short_signature(folder)): folder for folder in artefacts}
    needed: set[str] = set()
    doubts: list[str] = []
    to_visit = [signature[:8] for run in runs for signature in run.needed]
    while to_visit:
        signature = to_visit.pop()
        if signature in needed:
            continue
        needed.add(signature)
        if folder := there.get(signature):
            try:
                to_visit += _parents(folder)
            except (OSError, DamagedArtefact, KeyError, AttributeError, TypeError):
                doubts.append(f"what {folder} was made from cannot be read")
    return needed, doubts


def _parents(folder: Path) -> list[str]:
    """Short signatures of the parents of the artefact in ``folder``."""
    return [signature[:8] for signature in read_record(folder)["parents"].values()]


def _unreferenced(outputs: Path, needed: set[str]) -> Iterator[Garbage]:
    """Complete artefacts that are not needed; a folder without a record is not an artefact, whatever its name."""
    for folder in artefact_folders(outputs):
        if short_signature(folder) not in needed and (folder / RECORD).is_file():
            yield Garbage(folder, "no run refers to it", bytes_on_disk(folder))


def _leftovers(outputs: Path, runs: list[Run]) -> Iterator[Garbage]:
    """Folders of artefacts that were damaged or made again, and unfinished ones that no unfinished run can resume."""
    resumable = {signature[:8] for run in runs if run.state != DONE for signature in run.needed}
    for kind in kind_folders(outputs):
        aside = kind / SET_ASIDE
        for folder in sorted(aside.iterdir()) if aside.is_dir() else []:
            yield Garbage(folder, "damaged, or made again", bytes_on_disk(folder))
        for folder in sorted(kind.glob(f"{MAKING}*")):
            if folder.name[-8:] not in resumable and not _is_being_made(outputs, folder):
                yield Garbage(folder, "half-made, its maker is gone", bytes_on_disk(folder))


def _is_being_made(outputs: Path, making: Path) -> bool:
    """True if a process holds the lock of an unfinished artefact."""
    for path in (outputs / LOCKS).glob(f"{making.name[-8:]}*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except (Timeout, OSError):
            return True
    return False
