"""Seconds per unit of a kind of work, and the source of the number."""

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
    """Number of records that the speed was computed from, where the source is records."""


def in_words(rates: Iterable[Rate]) -> str:
    """Sources of ``rates`` in words, for example "from 7 records and timed steps"; empty where there are no rates."""
    known = list(rates)
    sources = {rate.source for rate in known}
    records = sum(rate.count for rate in known if rate.source == "records")
    parts = [f"{records} record{'s' * (records > 1)}"] * (records > 0) + ["timed steps"] * ("timed steps" in sources)
    if parts:
        return "from " + " and ".join(parts)
    return "assumed" if sources else ""
