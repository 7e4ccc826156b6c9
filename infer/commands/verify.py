"""``infer verify``: check artefacts, sets, results and caches against the checksums in their records."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.commands.parsing import Commands, add_command, at_home
from infer.console import size
from infer.errors import UsageError
from infer.files import has_broken_seal, has_seal, read_json, sha256, walk_links
from infer.records.artefacts import short_signature
from infer.records.names import CACHE, MANIFEST, RECORD, RESULT, ROBUST_SCORES, RUNS, SWEEP, SWEEPS
from infer.tables import Report, Section, count

_DIGITS_OF_A_KEY = 64
"""Length of the names of files of cached facts, which are SHA-256 digests. Other files in the same folder, such as
timings, have no influence on results."""
_ADVICE = (
    "A damaged artefact or cache is not used: the next run that needs it makes it again. A damaged set, result or plan "
    "is refused: type its run's command again, which reuses what is whole."
)


def add_to(commands: Commands) -> None:
    """Add ``verify`` to ``commands``."""
    about = "check artefacts, sets, results and caches against their checksums"
    parser = add_command(commands, "verify", about, run, ("json", "md"))
    parser.add_argument(
        "path", metavar="PATH", nargs="?", type=at_home, help="folder to check (default: that of --outputs)"
    )


def run(options: argparse.Namespace) -> Report:
    """Check ``options.path`` if it was given, otherwise all of ``options.outputs``."""
    return verify(options.path or options.outputs)


@dataclass(frozen=True)
class Checked:
    """Result of checking a record and the files that it lists."""

    place: Path
    """The folder of an artefact or a distilled set, or the file of another record."""
    num_bytes: int = 0
    """Bytes of the listed files that were checked."""
    fault: str | None = None
    """Description of the fault; None where there is none."""
    has_seal: bool = True
    """False for a record of an earlier version, which does not contain its own checksum."""


def verify(path: Path) -> Report:
    """Check all artefacts, distilled sets, results, plans of sweeps and caches in ``path`` and below it.

    The exit code is 1 where one is damaged. Raises UsageError where there is nothing to check.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; give the outputs folder, a run's folder or an artefact's")
    checked = [check(place) for place, check in _checkable(path)]
    if not checked:
        raise UsageError(
            f"nothing in {path} carries checksums; give the outputs folder, a run's folder or an artefact's"
        )
    damaged = [each for each in checked if each.fault]
    total = sum(each.num_bytes for each in checked)
    verdict = f"{len(damaged)} damaged" if damaged else "all whole"
    summary = f"{count(checked, 'record')}, {size(total)} checked: {verdict}"
    unsealed = [each for each in checked if not each.has_seal]
    if unsealed:
        summary += f"; {len(unsealed)} without a checksum of their own, as earlier versions wrote them"
    return Report(
        data={
            "checked": len(checked),
            "bytes": total,
            "damaged": {str(each.place): each.fault for each in damaged},
            "without_checksum_of_their_own": len(unsealed),
        },
        sections=[Section(("damaged", "fault"), [[str(each.place), str(each.fault)] for each in damaged])]
        * bool(damaged),
        closing=[summary, *[_ADVICE] * bool(damaged)],
        code=1 if damaged else 0,
    )


def _checkable(root: Path) -> Iterator[tuple[Path, Callable[[Path], Checked]]]:
    """Places of all records that have or should have a checksum, each with the function that checks it.

    Links are followed, as they are when records are read. A folder that cannot be read is a place with a fault.
    """
    errors: list[OSError] = []
    for here, _, files in walk_links(root, lambda name: name == CACHE or not name.startswith("."), errors):
        if RECORD in files or _should_be_artefact(here, files):
            yield here, _check_artefact
        elif MANIFEST in files:
            yield here, _check_set
        yield from ((here / name, _check_alone) for name in (RESULT, ROBUST_SCORES, SWEEP) if name in files)
        if here.name == CACHE:
            yield from ((here / name, _check_alone) for name in sorted(files) if _holds_facts(name))
    yield from ((Path(error.filename), _unreadable) for error in errors)


def _should_be_artefact(folder: Path, files: list[str]) -> bool:
    """True if ``folder`` has a name like that of an artefact, and is not that of a run."""
    of_run = RESULT in files or folder.parent.name in (RUNS, SWEEPS)
    return short_signature(folder) is not None and not of_run


def _holds_facts(name: str) -> bool:
    return len(name) == _DIGITS_OF_A_KEY + len(".json") and name.endswith(".json")


def _check_artefact(folder: Path) -> Checked:
    def fault_of(record: dict[str, Any]) -> str | None:
        if not folder.name.endswith(record["signature"][:8]):
            return f"{RECORD} carries the signature of another artefact"
        return _seal_fault(RECORD, record) if has_seal(record) else f"{RECORD} carries no checksum"

    return _check(folder, folder / RECORD, fault_of, lists_files=True)


def _check_set(folder: Path) -> Checked:
    return _check(folder, folder / MANIFEST, lambda content: _seal_fault(MANIFEST, content), lists_files=True)


def _check_alone(file: Path) -> Checked:
    return _check(file, file, lambda content: _seal_fault(file.name, content), lists_files=False)


def _unreadable(folder: Path) -> Checked:
    return Checked(folder, fault="cannot be read")


def _seal_fault(name: str, content: dict[str, Any]) -> str | None:
    return f"{name} is not what was written" if has_broken_seal(content) else None


def _check(place: Path, record: Path, fault_of: Callable[[dict[str, Any]], str | None], lists_files: bool) -> Checked:
    """Check the file ``record`` of ``place`` by ``fault_of``, and the files that it lists by their checksums in it."""
    num_bytes = 0
    try:
        content = read_json(record)
        if not isinstance(content, dict):
            raise TypeError
        if fault := fault_of(content):
            return Checked(place, num_bytes, fault)
        for name, expected in content["files"].items() if lists_files else ():
            num_bytes += expected["bytes"]
            if fault := _file_fault(record.parent / name, expected["sha256"], expected["bytes"]):
                return Checked(place, num_bytes, fault)
    except FileNotFoundError:
        return Checked(place, num_bytes, f"{record.name} is missing")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Checked(place, num_bytes, f"{record.name} cannot be read: {type(error).__name__}")
    return Checked(place, num_bytes, has_seal=has_seal(content))


def _file_fault(file: Path, checksum: str, num_bytes: int) -> str | None:
    if not file.is_file():
        return f"{file.name} is missing"
    found = file.stat().st_size
    if found != num_bytes:
        return f"{file.name} has {found} bytes instead of {num_bytes}"
    return f"{file.name} is not what was written" if sha256(file) != checksum else None
