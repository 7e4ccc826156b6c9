"""Speeds of earlier work, from the records in the store."""

import heapq
import statistics
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from infer.costs.rate import Rate
from infer.files import read_json
from infer.records.names import RECORD

_MOST_CANDIDATES = 100
"""Number of the newest records of a kind of artefact that are read, so that a large store is not slower than a small
one."""
_RECORDS_USED = 20
"""Number of records of a kind of work that are used. The middle half is averaged, since times differ a little between
sets, and much where other programs disturbed the machine."""


def recorded_rates(
    outputs: Path, wanted: Mapping[str, Collection[str]], device: Mapping[str, Any], threads: int
) -> dict[str, Rate]:
    """Speeds by kind of work, for the kinds of which there are new records from this kind of machine.

    ``wanted`` lists kinds of work by the kind of artefact that they make; ``device`` and ``threads`` are as in records.
    """
    found: dict[str, list[float]] = {}
    for kind, works in wanted.items():
        missing = set(works)
        for record in map(_record_in, _newest(outputs / kind)):
            work = record.get("work", {})
            name = work.get("kind")
            if name not in missing or (record["device"], record["threads"]) != (device, threads):
                continue
            found.setdefault(name, []).append(work["seconds"] / work["units"])
            if len(found[name]) == _RECORDS_USED:
                missing.remove(name)
                if not missing:
                    break
    return {name: Rate(_typical(seconds), "records", len(seconds)) for name, seconds in found.items()}


def _typical(values: list[float]) -> float:
    """Mean of the middle half of ``values``."""
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def _newest(kind: Path) -> list[Path]:
    """Folders of the newest artefacts in the folder ``kind``, newest first."""
    if not kind.is_dir():
        return []
    folders = [path for path in kind.iterdir() if not path.name.startswith(".")]
    return heapq.nlargest(_MOST_CANDIDATES, folders, key=lambda path: path.stat().st_mtime)


def _record_in(folder: Path) -> dict[str, Any]:
    """The record in ``folder``, not verified since only estimates depend on it; empty where it cannot be read."""
    try:
        record = read_json(folder / RECORD)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.keys() >= {"device", "threads"} else {}
