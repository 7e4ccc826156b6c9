"""The artefact folders under ``outputs/`` and their records, read without importing torch."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORD = "record.json"
_FOLDER_NAME = re.compile(r".+-([0-9a-f]{8})")
OF_RUNS = ("runs", "sweeps")
"""Folders of ``outputs/`` that hold no artefacts."""


def kind_folders(outputs: Path) -> list[Path]:
    """The folders that hold one kind of artefact each: teachers, compensators and so on."""
    return sorted(
        path for path in outputs.iterdir() if path.is_dir() and path.name not in OF_RUNS and path.name[0] != "."
    )


def artefact_folders(outputs: Path) -> Iterator[Path]:
    """Every committed artefact's folder."""
    for kind in kind_folders(outputs):
        yield from sorted(path for path in kind.iterdir() if path.is_dir() and short_signature(path))


def short_signature(folder: Path) -> str | None:
    """The eight hex digits that an artefact's folder ends with; None for any other folder."""
    named = _FOLDER_NAME.fullmatch(folder.name)
    return named[1] if named and not folder.name.startswith(".") else None


def read_record(folder: Path) -> dict[str, Any]:
    """An artefact's record; raises OSError or ValueError when there is none that can be read."""
    record = json.loads((folder / RECORD).read_bytes())
    if not isinstance(record, dict):
        raise ValueError(f"{RECORD} holds no record")
    return record


def bytes_on_disk(folder: Path) -> int:
    """The bytes of all files in ``folder``, however deep."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
