"""``infer gc``: what the store holds that no run refers to, set aside first and deleted after a grace period."""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from infer.commands import trash
from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.errors import UsageError
from infer.files import present_time
from infer.records.artefacts import (
    DamagedArtefact,
    artefact_folders,
    bytes_on_disk,
    kind_folders,
    read_record,
    short_signature,
)
from infer.records.names import LOCKS, MAKING, RECORD, SET_ASIDE
from infer.records.runs import DONE, RUNNING, UNREADABLE, Run, all_records
from infer.tables import Report, Section, count

_MOST_NAMED = 4
_GRACE_DAYS = 7


def add_to(commands: Commands) -> None:
    """Add ``gc`` to ``commands``."""
    parser = add_command(
        commands, "gc", "list artefacts that no run below DIR refers to, or delete them", run, ("json", "md")
    )
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--dry-run", action="store_true", help="only list them (the default)")
    act.add_argument(
        "--delete", action="store_true", help="move them to the trash, and delete what has been there for DAYS days"
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=_GRACE_DAYS,
        metavar="DAYS",
        help=f"days in the trash before deletion (default: {_GRACE_DAYS}; 0: delete at once)",
    )


def run(options: argparse.Namespace) -> Report:
    """List the garbage under ``options.outputs``, or set it aside."""
    return collect(options.outputs, options.delete, options.grace)


@dataclass(frozen=True)
class Garbage:
    """A folder that nothing needs."""

    folder: Path
    reason: str
    num_bytes: int


@dataclass(frozen=True)
class Trashed:
    """Everything that was set aside at one time: its folder, the root that its paths are below, and its size."""

    folder: Path
    root: Path
    num_bytes: int

    def artefacts(self) -> list[Path]:
        """Folders of the committed artefacts in it."""
        return sorted(record.parent for record in self.folder.rglob(RECORD) if short_signature(record.parent))


def collect(outputs: Path, delete: bool, grace_days: float = _GRACE_DAYS) -> Report:
    """List what no run refers to; with ``delete`` set it aside, and delete what has been so for ``grace_days``.

    Raises UsageError when it should delete and what runs need is not known: no run was found, or not all that is there
    could be read, or a run has begun whose plan is not known.
    """
    if not (math.isfinite(grace_days) and grace_days >= 0):
        raise UsageError(f"--grace {grace_days} is not possible: give a number of days, at least 0")
    now = datetime.fromtimestamp(present_time(outputs), UTC)  # one clock for all machines on a shared disk
    runs, unseen = all_records(outputs)
    aside = _trashed(outputs)
    stored = [*(folder for each in aside for folder in each.artefacts()), *artefact_folders(outputs)]
    needed, doubts = _needed(stored, runs)
    found = [*_unreferenced(outputs, needed), *_leftovers(outputs, runs)]
    doubts = [*unseen, *_without_runs(outputs, runs), *doubts, *_unplanned(runs)] if found or aside else []
    if delete and doubts:
        raise UsageError(f"gc --delete would be unsafe: {_listed(doubts)}. {_REMEDY}")
    if delete:
        _put_back(aside, needed)
        for garbage in found:
            trash.set_aside(garbage.folder, outputs, now)
        aside = _trashed(outputs)
    due = [each for each in aside if trash.is_due(each.folder, grace_days, now)]
    if delete:
        for each in due:
            trash.delete(each.folder)
    waiting = [each for each in aside if each not in due]
    return Report(
        data={
            "deleted": delete,
            "bytes": sum(garbage.num_bytes for garbage in found),
            "folders": {str(each.folder): {"reason": each.reason, "bytes": each.num_bytes} for each in found},
            "grace_days": grace_days,
            "freed": {str(each.folder): each.num_bytes for each in due},
            "waiting": {str(each.folder): each.num_bytes for each in waiting},
            "unknown": doubts,
        },
        sections=_sections(outputs, found, due, waiting, delete),
        closing=_closing(runs, found, due, waiting, doubts, delete, grace_days),
    )


_REMEDY = (
    "Mount or restore what is missing, let runs end, or take away what is damaged (infer rm RUN, infer verify); "
    "nothing was touched"
)


def _sections(
    outputs: Path, found: list[Garbage], due: list[Trashed], waiting: list[Trashed], delete: bool
) -> list[Section]:
    rows = [[str(each.folder.relative_to(outputs)), each.reason, size(each.num_bytes)] for each in found]
    rows += [[str(each.folder.relative_to(outputs)), _due_text(delete), size(each.num_bytes)] for each in due]
    rows += [[str(each.folder.relative_to(outputs)), "set aside", size(each.num_bytes)] for each in waiting]
    return [Section(("folder", "why", "bytes"), rows, {"bytes"})] * bool(rows)


def _due_text(delete: bool) -> str:
    return "set aside, deleted now" if delete else "set aside, its grace period is over"


def _closing(
    runs: list[Run],
    found: list[Garbage],
    due: list[Trashed],
    waiting: list[Trashed],
    doubts: list[str],
    delete: bool,
    grace_days: float,
) -> list[str]:
    """The lines below the table: what goes, what is freed now and later, and what to type."""
    freed, later = size(sum(each.num_bytes for each in due)), size(sum(each.num_bytes for each in waiting))
    total = size(sum(garbage.num_bytes for garbage in found))
    fate = ("deleted" if grace_days == 0 else "set aside") if delete else "can go"
    lines = [f"{count(found, 'folder')}, {total}, {fate}; {count(runs, 'run')} looked at"]
    if due:
        lines.append(
            f"{freed} {'freed' if delete else 'would be freed now'}: set aside at least {grace_days:g} days ago"
        )
    if waiting:
        back = " ".join(f"cp -rn {each.folder}/. {each.root}/" for each in waiting[-1:])
        lines.append(f"{later} waits for the end of --grace {grace_days:g} (days). Put the last back: {back}")
        if delete:
            lines.append("Free it now: infer gc --delete --grace 0")
    if doubts:
        lines.append(f"Some of it may be needed, so gc --delete would refuse: {_listed(doubts)}.")
    elif not delete and (found or due):
        lines.append("Nothing was deleted. Set it aside, and free it after the grace period: infer gc --delete")
    return lines


def _listed(doubts: list[str]) -> str:
    more = f" and {len(doubts) - _MOST_NAMED} more" if len(doubts) > _MOST_NAMED else ""
    return f"{'; '.join(doubts[:_MOST_NAMED])}{more}"


def _without_runs(outputs: Path, runs: list[Run]) -> list[str]:
    return [] if runs else [f"no run was found below {outputs}, so nothing says what is needed"]


def _unplanned(runs: list[Run]) -> list[str]:
    unknown = [run for run in runs if run.state in (UNREADABLE, RUNNING) and not run.plan]
    return [f"what {run.name} ({run.state}) needs is not recorded" for run in unknown]


def _trashed(outputs: Path) -> list[Trashed]:
    return [Trashed(folder, root, bytes_on_disk(folder)) for folder, root in trash.trash_folders(outputs)]


def _needed(artefacts: list[Path], runs: list[Run]) -> tuple[set[str], list[str]]:
    """Short signatures of what runs rest on or plan, directly or through one of ``artefacts``, and what is not known.

    Of two folders of one artefact the last counts.
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
    """Short signatures of what an artefact was made from."""
    return [signature[:8] for signature in read_record(folder)["parents"].values()]


def _unreferenced(outputs: Path, needed: set[str]) -> Iterator[Garbage]:
    """Committed artefacts that nothing needs; a folder without a record is not one, whatever it is called."""
    for folder in artefact_folders(outputs):
        if short_signature(folder) not in needed and (folder / RECORD).is_file():
            yield Garbage(folder, "no run refers to it", bytes_on_disk(folder))


def _leftovers(outputs: Path, runs: list[Run]) -> Iterator[Garbage]:
    """Folders set aside as damaged or redone, and unfinished ones that no unfinished run goes on with."""
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


def _put_back(aside: list[Trashed], needed: set[str]) -> None:
    """Move artefacts that a run needs again out of the trash, for example of a disk that was mounted again."""
    for each in aside:
        for folder in each.artefacts():
            if short_signature(folder) in needed:
                trash.put_back(folder, each.folder, each.root)
