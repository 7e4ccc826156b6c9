"""Artefact folders under ``outputs/`` and their records: found by signature, read, and checked for damage."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.errors import InferError
from infer.files import has_broken_seal, has_seal, read_json, sha256
from infer.records.names import RECORD, RUNS, SWEEPS

_FOLDER_NAME = re.compile(r".+-([0-9a-f]{8})")


class DamagedArtefact(InferError):
    """An artefact's folder does not hold what was written into it; the message says what is wrong."""


@dataclass(frozen=True)
class StoredArtefact:
    """A committed artefact: its folder and its record."""

    folder: Path
    record: dict[str, Any]

    @property
    def files(self) -> Collection[str]:
        """Names of its files."""
        files: dict[str, Any] = self.record["files"]
        return files.keys()

    def file(self, name: str) -> Path:
        """The path of one of its files; raises DamagedArtefact unless it is what was written."""
        _require_whole(self.folder, name, self.record["files"][name]["sha256"], shown=str(self.folder / name))
        return self.folder / name


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the artefact in ``folder``, whose files are not looked at.

    Raises DamagedArtefact where there is none, or one that is not what was written.
    """
    try:
        record = read_json(folder / RECORD)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedArtefact(f"{RECORD} is missing") from None
    except ValueError as error:  # not OSError: a failing disk is no damage
        raise DamagedArtefact(_holds_no_record(error)) from None
    if not isinstance(record, dict):
        raise DamagedArtefact(_holds_no_record(TypeError()))
    if has_broken_seal(record):
        raise DamagedArtefact(f"{RECORD} is not what was written")
    return record


def read_verified_record(folder: Path, signature: str) -> dict[str, Any]:
    """The record of the artefact called ``signature`` that lies in ``folder``.

    Raises DamagedArtefact unless the record and every file that it names are what was written.
    """
    record = read_record(folder)
    try:
        if record["signature"] != signature:
            raise DamagedArtefact(f"its {RECORD} carries another signature")
        if not has_seal(record):
            raise DamagedArtefact(f"{RECORD} carries no checksum")
        for name, expected in record["files"].items():
            _require_whole(folder, name, expected["sha256"], shown=name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedArtefact(_holds_no_record(error)) from None
    return record


def is_whole(folder: Path, signature: str) -> bool:
    """True if ``folder`` holds the artefact called ``signature``, undamaged."""
    try:
        read_verified_record(folder, signature)
    except DamagedArtefact:
        return False
    return True


def stored_artefacts(outputs: Path, signatures: Collection[str]) -> dict[str, StoredArtefact]:
    """The artefacts of ``signatures`` that are there, in that order; their files are checked when they are read."""
    wanted = {signature[:8] for signature in signatures}
    found: dict[str, StoredArtefact] = {}
    for folder in artefact_folders(outputs) if wanted else ():
        if short_signature(folder) in wanted and (folder / RECORD).is_file():
            try:
                record = read_record(folder)
            except DamagedArtefact as damage:
                raise DamagedArtefact(f"{folder}: {damage}") from None
            found[record.get("signature", "")] = StoredArtefact(folder, record)
    return {signature: found[signature] for signature in signatures if signature in found}


def kind_folders(outputs: Path) -> list[Path]:
    """The folders that hold one kind of artefact each: teachers, compensators and so on."""
    return sorted(
        path for path in outputs.iterdir() if path.is_dir() and path.name not in (RUNS, SWEEPS) and path.name[0] != "."
    )


def artefact_folders(outputs: Path) -> Iterator[Path]:
    """Every committed artefact's folder."""
    for kind in kind_folders(outputs):
        yield from sorted(path for path in kind.iterdir() if path.is_dir() and short_signature(path))


def short_signature(folder: Path) -> str | None:
    """The eight hex digits that an artefact's folder ends with; None for any other folder."""
    named = _FOLDER_NAME.fullmatch(folder.name)
    return named[1] if named and not folder.name.startswith(".") else None


def bytes_on_disk(folder: Path) -> int:
    """Bytes of a file, or of all files in ``folder``, however deep; of a link its own, not those behind it."""
    inside = folder.rglob("*") if folder.is_dir() and not folder.is_symlink() else [folder]  # which enters no link
    return sum(path.lstat().st_size for path in inside if path.is_symlink() or path.is_file())


def _require_whole(folder: Path, name: str, checksum: str, shown: str) -> None:
    """Raise DamagedArtefact unless the file ``name`` has ``checksum``; the message calls it ``shown``."""
    if not (folder / name).is_file():
        raise DamagedArtefact(f"{shown} is missing")
    if sha256(folder / name) != checksum:
        raise DamagedArtefact(f"{shown} is not what was written")


def _holds_no_record(error: Exception) -> str:
    return f"{RECORD} does not hold a record: {type(error).__name__}"
