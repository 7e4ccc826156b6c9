"""``infer gc``: move artefacts that no run refers to into the trash, and delete them after a grace period."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infer.commands import trash
from infer.commands.garbage import Garbage, Survey, Trashed, survey, take_away, trashed_in
from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.errors import UsageError
from infer.files import present_time
from infer.tables import Report, Section, count
from infer.words import shell_line, some

_MOST_NAMED = 4
_GRACE_DAYS = 7
_REMEDY = (
    "Mount or restore what is missing, let runs end, or remove what is damaged (infer rm RUN, infer verify); "
    "nothing was touched"
)


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
    """List the garbage under ``options.outputs``, or move it to the trash."""
    return collect(options.outputs, options.delete, options.grace)


@dataclass(frozen=True)
class _Collection:
    """The result of one call."""

    found: Survey
    due: list[Trashed]
    """Folders in the trash whose grace period is over: they are deleted now or, without ``--delete``, would be."""
    waiting: list[Trashed]
    """Folders in the trash whose grace period is not over."""
    deletes: bool
    grace_days: float


def collect(outputs: Path, delete: bool, grace_days: float = _GRACE_DAYS) -> Report:
    """List artefacts that no run refers to.

    With ``delete``, move them to the trash, and delete what has been there for ``grace_days``. Raises UsageError with
    ``delete`` where it is not known which artefacts runs need: no run was found, something could not be read, or the
    plan of a run is not recorded.
    """
    if not (math.isfinite(grace_days) and grace_days >= 0):
        raise UsageError(f"--grace {grace_days} is not possible: give a number of days, at least 0")
    now = datetime.fromtimestamp(present_time(outputs), UTC)  # the same clock for all machines with a shared disk
    found = survey(outputs)
    if delete and found.doubts:
        raise UsageError(f"gc --delete would be unsafe: {_listed(found.doubts)}. {_REMEDY}")
    if delete:
        take_away(found, outputs, now)
    trashed = trashed_in(outputs) if delete else found.trashed
    due = [each for each in trashed if trash.is_due(each.folder, grace_days, now)]
    if delete:
        for each in due:
            trash.delete(each.folder)
    waiting = [each for each in trashed if each not in due]
    return _report(outputs, _Collection(found, due, waiting, delete, grace_days))


def _report(outputs: Path, collection: _Collection) -> Report:
    garbage = collection.found.garbage
    return Report(
        data={
            "deleted": collection.deletes,
            "bytes": _total(garbage),
            "folders": {str(each.folder): {"reason": each.reason, "bytes": each.num_bytes} for each in garbage},
            "grace_days": collection.grace_days,
            "freed": {str(each.folder): each.num_bytes for each in collection.due},
            "waiting": {str(each.folder): each.num_bytes for each in collection.waiting},
            "unknown": collection.found.doubts,
        },
        sections=_sections(outputs, collection),
        closing=_closing(collection),
    )


def _sections(outputs: Path, collection: _Collection) -> list[Section]:
    is_due = "set aside, deleted now" if collection.deletes else "set aside, its grace period is over"
    listed: list[tuple[Garbage | Trashed, str]] = [(each, each.reason) for each in collection.found.garbage]
    listed += [(each, is_due) for each in collection.due]
    listed += [(each, "set aside") for each in collection.waiting]
    rows = [[str(each.folder.relative_to(outputs)), reason, size(each.num_bytes)] for each, reason in listed]
    return [Section(("folder", "why", "bytes"), rows, {"bytes"})] * bool(rows)


def _closing(collection: _Collection) -> list[str]:
    """Lines below the table: what is removed, what is freed now and later, and what to type."""
    found, due, waiting, days = collection.found, collection.due, collection.waiting, collection.grace_days
    fate = ("deleted" if days == 0 else "set aside") if collection.deletes else "can go"
    lines = [
        f"{count(found.garbage, 'folder')}, {size(_total(found.garbage))}, {fate}; {count(found.runs, 'run')} examined"
    ]
    if due:
        freed = "freed" if collection.deletes else "would be freed now"
        lines.append(f"{size(_total(due))} {freed}: set aside at least {days:g} days ago")
    if waiting:
        last = waiting[-1]
        back = shell_line(["cp", "-rn", f"{last.folder}/.", f"{last.root}/"])
        lines.append(f"{size(_total(waiting))} can go after --grace {days:g} (days). To restore the last one: {back}")
        if collection.deletes:
            lines.append("Free it now: infer gc --delete --grace 0")
    if found.doubts:
        lines.append(f"Some of it may be needed, so gc --delete would refuse: {_listed(found.doubts)}.")
    elif not collection.deletes and (found.garbage or due):
        lines.append("Nothing was deleted. Set it aside, and free it after the grace period: infer gc --delete")
    return lines


def _total(folders: Sequence[Garbage | Trashed]) -> int:
    return sum(each.num_bytes for each in folders)


def _listed(doubts: list[str]) -> str:
    return some(doubts, _MOST_NAMED, between="; ")
