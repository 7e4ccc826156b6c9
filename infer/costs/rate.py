"""Seconds per unit of a kind of work, and where the number comes from."""

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
    """Records that it rests on, where its source is records."""


def in_words(rates: Iterable[Rate]) -> str:
    """Sources of ``rates``: from 7 records and timed steps; nothing where there are no rates."""
    known = list(rates)
    sources = {rate.source for rate in known}
    records = sum(rate.count for rate in known if rate.source == "records")
    parts = [f"{records} record{'s' * (records > 1)}"] * (records > 0) + ["timed steps"] * ("timed steps" in sources)
    if parts:
        return "from " + " and ".join(parts)
    return "assumed" if sources else ""
