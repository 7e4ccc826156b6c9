"""Artefact folders under ``outputs/`` and their records: search by signature, reading, and checks for damage."""

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
    """Error for an artefact whose folder does not contain what was written; the message describes the damage."""


@dataclass(frozen=True)
class StoredArtefact:
    """A complete artefact: its folder and its record."""

    folder: Path
    record: dict[str, Any]

    @property
    def files(self) -> Collection[str]:
        """Names of the files."""
        files: dict[str, Any] = self.record["files"]
        return files.keys()

    def file(self, name: str) -> Path:
        """The path of the file ``name``. Raises DamagedArtefact where its checksum is wrong."""
        _require_whole(self.folder, name, self.record["files"][name]["sha256"], shown=str(self.folder / name))
        return self.folder / name


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the artefact in ``folder``, whose files are not checked.

    Raises DamagedArtefact where there is no record, or its checksum is wrong.
    """
    try:
        record = read_json(folder / RECORD)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedArtefact(f"{RECORD} is missing") from None
    except ValueError as error:  # not OSError, since a failing disk does not mean a damaged record
        raise DamagedArtefact(_holds_no_record(error)) from None
    if not isinstance(record, dict):
        raise DamagedArtefact(_holds_no_record(TypeError()))
    if has_broken_seal(record):
        raise DamagedArtefact(f"{RECORD} is not what was written")
    return record


def read_verified_record(folder: Path, signature: str) -> dict[str, Any]:
    """The record of the artefact with the ``signature`` in ``folder``.

    Raises DamagedArtefact where the record or a file that it lists is missing or has a wrong checksum.
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
    """True if ``folder`` contains the artefact with the ``signature``, undamaged."""
    try:
        read_verified_record(folder, signature)
    except DamagedArtefact:
        return False
    return True


def stored_artefacts(outputs: Path, signatures: Collection[str]) -> dict[str, StoredArtefact]:
    """The stored artefacts of ``signatures``, in that order. Their files are checked when they are read."""
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
    """The folders that each hold artefacts of one kind, such as teachers or compensators."""
    return sorted(
        path for path in outputs.iterdir() if path.is_dir() and path.name not in (RUNS, SWEEPS) and path.name[0] != "."
    )


def artefact_folders(outputs: Path) -> Iterator[Path]:
    """The folders of all complete artefacts."""
    for kind in kind_folders(outputs):
        yield from sorted(path for path in kind.iterdir() if path.is_dir() and short_signature(path))


def short_signature(folder: Path) -> str | None:
    """The eight hex digits at the end of the name of an artefact's folder; None for any other folder."""
    named = _FOLDER_NAME.fullmatch(folder.name)
    return named[1] if named and not folder.name.startswith(".") else None


def bytes_on_disk(folder: Path) -> int:
    """Size in bytes of a file, or of all files in ``folder`` and below it; a link counts without its target."""
    is_tree = folder.is_dir() and not folder.is_symlink()
    inside = folder.rglob("*") if is_tree else [folder]  # rglob does not follow links
    return sum(path.lstat().st_size for path in inside if path.is_symlink() or path.is_file())


def _require_whole(folder: Path, name: str, checksum: str, shown: str) -> None:
    """Raise DamagedArtefact unless the file ``name`` has ``checksum``; ``shown`` is its name in the message."""
    if not (folder / name).is_file():
        raise DamagedArtefact(f"{shown} is missing")
    if sha256(folder / name) != checksum:
        raise DamagedArtefact(f"{shown} is not what was written")


def _holds_no_record(error: Exception) -> str:
    return f"{RECORD} does not hold a record: {type(error).__name__}"
