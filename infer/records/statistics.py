"""Mean and standard deviation over repeated measurements."""

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict


class Summary(TypedDict):
    """Summary of a number that was measured n times; ``std`` divides by n-1 and is None for n=1."""

    mean: float
    std: float | None
    n: int
    values: list[float]


def summarise(values: Sequence[float]) -> Summary:
    """The summary of ``values``, of which there must be at least one."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "std": std, "n": len(values), "values": list(values)}
