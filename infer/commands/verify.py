"""``infer verify``: whether every stored file is what was written, by the checksums of its record."""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.errors import UsageError
from infer.files import has_seal, is_sealed, read_json, sha256
from infer.records.artefacts import short_signature
from infer.records.names import MANIFEST, RECORD, RESULT, RUNS, SWEEPS
from infer.tables import Report, Section, count


def add_to(commands: Commands) -> None:
    """Add ``verify`` to ``commands``."""
    parser = add_command(commands, "verify", "check every stored file against its checksum", run, ("json", "md"))
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, help="a folder; without it the outputs folder")


def run(options: argparse.Namespace) -> Report:
    """Check the folder that was given, or all of ``options.outputs``."""
    return verify(options.path or options.outputs)


@dataclass(frozen=True)
class Checked:
    """A folder whose files were checked."""

    folder: Path
    num_bytes: int
    """Bytes of the files that its record names."""
    fault: str | None
    """The fault in words; None where there is none."""
    has_seal: bool = True
    """False for a record of an earlier version, which carries no checksum of itself."""


def verify(path: Path) -> Report:
    """Check every artefact, distilled set and record of a run in ``path`` or below it.

    The exit code is 1 when one is damaged.

    Raises UsageError when there is nothing to check.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give the outputs folder, a run's folder or an artefact's")
    checked = [_check(folder, listing) for folder, listing in _checkable(path)]
    if not checked:
        raise UsageError(
            f"nothing in {path} carries checksums; give the outputs folder, a run's folder or an artefact's"
        )
    damaged = [each for each in checked if each.fault]
    total = sum(each.num_bytes for each in checked)
    verdict = f"{len(damaged)} damaged" if damaged else "all whole"
    summary = f"{count(checked, 'folder')}, {size(total)} checked: {verdict}"
    unsealed = [each for each in checked if not each.has_seal]
    if unsealed:
        summary += f"; {count(unsealed, 'record')} without a checksum of their own, as earlier versions wrote them"
    advice = "A damaged artefact is set aside and made again by the next run that needs it: type that run's command."
    return Report(
        data={
            "checked": len(checked),
            "bytes": total,
            "damaged": {str(each.folder): each.fault for each in damaged},
            "without_checksum_of_their_own": len(unsealed),
        },
        sections=[Section(("damaged", "fault"), [[str(each.folder), str(each.fault)] for each in damaged])]
        * bool(damaged),
        closing=[summary, *[advice] * bool(damaged)],
        code=1 if damaged else 0,
    )


def _checkable(root: Path) -> Iterator[tuple[Path, str]]:
    """Folders with a listing of checksums, or without the one that they must have, and the listing's name."""
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        here = Path(folder)
        if RECORD in files or _should_be_artefact(here, files):
            yield here, RECORD
        elif MANIFEST in files:
            yield here, MANIFEST
        elif RESULT in files:
            yield here, RESULT


def _should_be_artefact(folder: Path, files: list[str]) -> bool:
    """True if it is named as an artefact's folder is, and is no run's."""
    of_run = RESULT in files or folder.parent.name in (RUNS, SWEEPS)
    return short_signature(folder) is not None and not of_run


def _check(folder: Path, listing: str) -> Checked:
    num_bytes = 0
    try:
        content = read_json(folder / listing)
        if listing == RECORD and not folder.name.endswith(content["signature"][:8]):
            return Checked(folder, num_bytes, f"{RECORD} carries the signature of another artefact")
        is_whole = is_sealed(content)
        if not is_whole and (listing == RECORD or has_seal(content)):
            return Checked(folder, num_bytes, f"{listing} is not what was written")
        files = {} if listing == RESULT else content["files"]
        for name, expected in files.items():
            num_bytes += expected["bytes"]
            if fault := _fault(folder / name, expected["sha256"], expected["bytes"]):
                return Checked(folder, num_bytes, fault)
    except FileNotFoundError:
        return Checked(folder, num_bytes, f"{listing} is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Checked(folder, num_bytes, f"{listing} cannot be read: {type(error).__name__}")
    return Checked(folder, num_bytes, None, has_seal=is_whole)


def _fault(file: Path, checksum: str, num_bytes: int) -> str | None:
    if not file.is_file():
        return f"{file.name} is missing"
    found = file.stat().st_size
    if found != num_bytes:
        return f"{file.name} has {found} bytes instead of {num_bytes}"
    return f"{file.name} is not what was written" if sha256(file) != checksum else None
