"""Seconds per unit of a kind of work, and where the number comes from."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Source = Literal["records", "timed steps", "assumed"]


@dataclass(frozen=True)
class Rate:
    """Measured or assumed speed of a kind of work."""

    seconds_per_unit: float
    source: Source
    count: int = 1
    """Records, or steps of each network, that it rests on."""


def in_words(rates: Iterable[Rate]) -> str:
    """Sources of ``rates``: from 7 records and 3 timed steps of 4 kinds of work."""
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for rate in rates:
        counts[rate.source] += rate.count
        kinds[rate.source] += 1
    parts = []
    if counts["records"]:
        parts.append(f"{counts['records']} record{'s' * (counts['records'] > 1)}")
    if kinds["timed steps"]:
        parts.append(f"{counts['timed steps']} timed steps")
    text = "from " + " and ".join(parts) if parts else ""
    return text or ("assumed" if kinds["assumed"] else "")
