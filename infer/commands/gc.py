"""``infer gc``: what the store holds that no run refers to, and its removal."""

import argparse
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.errors import UsageError
from infer.records.artefacts import (
    DamagedArtefact,
    artefact_folders,
    bytes_on_disk,
    kind_folders,
    read_record,
    short_signature,
)
from infer.records.names import LOCKS, MAKING, SET_ASIDE
from infer.records.runs import DONE, RUNNING, UNREADABLE, Run, find_runs
from infer.tables import Report, Section, count

_MOST_NAMED = 4


def add_to(commands: Commands) -> None:
    """Add ``gc`` to ``commands``."""
    parser = add_command(commands, "gc", "list what is stored and no run under DIR refers to", run, ("json", "md"))
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--dry-run", action="store_true", help="only list it, as without this word")
    act.add_argument("--delete", action="store_true", help="delete it")


def run(options: argparse.Namespace) -> Report:
    """List, or delete, the garbage under ``options.outputs``."""
    return collect(options.outputs, options.delete)


@dataclass(frozen=True)
class Garbage:
    """A folder that nothing needs."""

    folder: Path
    reason: str
    num_bytes: int


def collect(outputs: Path, delete: bool) -> Report:
    """List what no run refers to, and remove it with ``delete``.

    Raises UsageError when it should delete and a run has begun whose plan is not known.
    """
    runs = find_runs(outputs)
    unknown = [run for run in runs if run.state == UNREADABLE or (run.state == RUNNING and not run.plan)]
    if delete and unknown:
        raise UsageError(f"gc --delete would be unsafe: {_caution(unknown)}. Let them end, or delete their folders")
    found = [*_unreferenced(outputs, runs), *_leftovers(outputs, runs)]
    if delete:
        for garbage in found:
            _remove(garbage.folder)
    total = sum(garbage.num_bytes for garbage in found)
    rows = [[str(each.folder.relative_to(outputs)), each.reason, size(each.num_bytes)] for each in found]
    verb = "deleted" if delete else "can go"
    advice = [] if delete or not found else ["Nothing was deleted. Delete it: infer gc --delete"]
    caution = [f"Some of it may be needed: {_caution(unknown)}."] if unknown and found else []
    return Report(
        data={
            "deleted": delete,
            "bytes": total,
            "folders": {str(each.folder): {"reason": each.reason, "bytes": each.num_bytes} for each in found},
            "unknown": [run.name for run in unknown],
        },
        sections=[Section(("folder", "why", "bytes"), rows, {"bytes"})] * bool(found),
        closing=[
            f"{count(found, 'folder')}, {size(total)}, {verb}; {count(runs, 'run')} looked at",
            *caution,
            *advice,
        ],
    )


def _caution(unknown: list[Run]) -> str:
    named = ", ".join(f"{run.name} ({run.state})" for run in unknown[:_MOST_NAMED])
    more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
    return f"what these runs need is not recorded: {named}{more}"


def _unreferenced(outputs: Path, runs: list[Run]) -> Iterator[Garbage]:
    """Committed artefacts that no run rests on or plans, directly or through another artefact."""
    there = {str(short_signature(folder)): folder for folder in artefact_folders(outputs)}
    needed: set[str] = set()
    to_visit = [signature[:8] for run in runs for signature in run.needed]
    while to_visit:
        signature = to_visit.pop()
        if signature not in needed:
            needed.add(signature)
            to_visit += _parents(there.get(signature))
    for signature, folder in there.items():
        if signature not in needed:
            yield Garbage(folder, "no run refers to it", bytes_on_disk(folder))


def _parents(folder: Path | None) -> list[str]:
    """Short signatures of what an artefact was made from; nothing where it is gone or damaged."""
    try:
        return [signature[:8] for signature in read_record(folder)["parents"].values()] if folder else []
    except (OSError, DamagedArtefact, KeyError, AttributeError):
        return []


def _leftovers(outputs: Path, runs: list[Run]) -> Iterator[Garbage]:
    """Folders set aside as damaged or redone, and unfinished ones that no unfinished run goes on with."""
    resumable = {signature[:8] for run in runs if run.state != DONE for signature in run.needed}
    for kind in kind_folders(outputs):
        aside = kind / SET_ASIDE
        for folder in sorted(aside.iterdir()) if aside.is_dir() else []:
            yield Garbage(folder, "set aside: damaged, or made again", bytes_on_disk(folder))
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


def _remove(folder: Path) -> None:
    """Delete ``folder``; a committed artefact leaves its place first, so that nobody finds half of it."""
    if short_signature(folder):
        aside = folder.parent / SET_ASIDE / f"{folder.name}-{time.time_ns()}"
        aside.parent.mkdir(exist_ok=True)
        folder = folder.rename(aside)
    shutil.rmtree(folder)
