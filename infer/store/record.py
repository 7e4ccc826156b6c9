"""``record.json``: what an artefact is and what made it, with the checksums by which damage to it is found."""

from pathlib import Path
from typing import Any

from infer.files import is_sealed, read_json, sealed, sha256, write_json

RECORD = "record.json"


class DamagedArtefact(Exception):
    """An artefact's folder does not hold what was written into it; the message says what is wrong."""


def write_record(folder: Path, content: dict[str, Any]) -> None:
    """Write ``content``, with a checksum of itself: scores stand in it and nowhere else."""
    write_json(folder / RECORD, sealed(content))


def read_record(folder: Path, signature: str) -> dict[str, Any]:
    """The record of the artefact called ``signature`` that lies in ``folder``.

    Raises DamagedArtefact unless the record and every file that it names are what was written.
    """
    try:
        record = read_json(folder / RECORD)
        if record["signature"] != signature:
            raise DamagedArtefact(f"its {RECORD} carries another signature")
        if not is_sealed(record):
            raise DamagedArtefact(f"{RECORD} is not what was written")
        for name, expected in record["files"].items():
            if not (folder / name).is_file():
                raise DamagedArtefact(f"{name} is missing")
            if sha256(folder / name) != expected["sha256"]:
                raise DamagedArtefact(f"{name} is not what was written")
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedArtefact(f"{RECORD} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # not OSError: a failing disk is no damage
        raise DamagedArtefact(f"{RECORD} does not hold a record: {type(error).__name__}") from None
    return record


def is_whole(folder: Path, signature: str) -> bool:
    """Whether ``folder`` holds the artefact called ``signature``, undamaged."""
    try:
        read_record(folder, signature)
    except DamagedArtefact:
        return False
    return True
