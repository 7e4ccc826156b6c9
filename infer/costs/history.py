"""Speeds of work that was done before, from the records in the store."""

import heapq
import statistics
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from infer.costs.rate import Rate
from infer.files import read_json
from infer.records.names import RECORD

_CANDIDATES = 100
"""Newest records of a kind of artefact that are looked at, so that a large store is no slower than a small one."""
_ENOUGH = 20
"""Records of a kind of work whose middle half is averaged: sets differ a little, and a disturbed machine much."""


def recorded_rates(
    outputs: Path, wanted: Mapping[str, Collection[str]], device: Mapping[str, Any], threads: int
) -> dict[str, Rate]:
    """Speeds by kind of work, as far as the newest records on this kind of machine tell.

    ``wanted`` are kinds of work by the kind of artefact that they make; ``device`` and ``threads`` are as in records.
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
            if len(found[name]) == _ENOUGH:
                missing.remove(name)
                if not missing:
                    break
    return {name: Rate(_typical(seconds), "records", len(seconds)) for name, seconds in found.items()}


def _typical(values: list[float]) -> float:
    """Mean of the middle half."""
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def _newest(kind: Path) -> list[Path]:
    """Folders of artefacts, newest first."""
    if not kind.is_dir():
        return []
    folders = [path for path in kind.iterdir() if not path.name.startswith(".")]
    return heapq.nlargest(_CANDIDATES, folders, key=lambda path: path.stat().st_mtime)


def _record_in(folder: Path) -> dict[str, Any]:
    """The record, unverified, for numbers that nothing rests on; empty where it cannot be read."""
    try:
        record = read_json(folder / RECORD)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.keys() >= {"device", "threads"} else {}
