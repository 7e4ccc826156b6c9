"""Estimates of a run's costs: seconds, from records or from timed steps, bytes on the disk, and peak memory."""

from infer.costs.estimate import RunCost, StageCost, estimate, memory_of_another_process, to_make
from infer.costs.wording import as_data, line_of, table_of

__all__ = [
    "RunCost",
    "StageCost",
    "as_data",
    "estimate",
    "line_of",
    "memory_of_another_process",
    "table_of",
    "to_make",
]
