"""Means and their spread over repeated runs."""

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict


class Summary(TypedDict):
    """A number measured n times; ``std`` has n-1 in its denominator and is None for n=1."""

    mean: float
    std: float | None
    n: int
    values: list[float]


def summarise(values: Sequence[float]) -> Summary:
    """The summary of ``values``, at least one."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "std": std, "n": len(values), "values": list(values)}
