"""Costs of a run as text: one line at its start, and a table for ``infer estimate``."""

from typing import Any

from infer.console import duration, size
from infer.costs.estimate import RunCost, StageCost
from infer.costs.rate import in_words
from infer.tables import Section

_COLUMNS = ("stage", "to make", "time", "disk", "peak memory", "time is")


def line_of(cost: RunCost, processes: int = 1) -> str:
    """The line at the start of a run, such as "about 40 s: squeeze 20 s, generate 8 s, ... (from 12 records)".

    With several ``processes`` it is like "about 27 s: 2 processes share squeeze 20 s, ...".
    """
    if not cost.stages:
        return "nothing to make: everything is there"
    parts = ", ".join(f"{stage.stage.value} {_time(stage)}" for stage in cost.stages)
    if processes > 1:
        parts = f"{processes} processes share {parts}"
    seconds = cost.seconds_of(processes)
    if seconds is None:
        return f"time: {parts}; for more, type infer estimate with the same words"
    source = in_words(rate for stage in cost.stages for rate in stage.rates)
    return f"about {duration(seconds)}: {parts} ({source})"


def table_of(cost: RunCost) -> Section:
    """Table with a row for each stage and one for all stages."""
    rows = [
        [
            stage.stage.value,
            str(stage.to_make),
            _time(stage),
            size(stage.num_bytes),
            "-" if stage.peak_bytes is None else size(stage.peak_bytes),
            in_words(stage.rates),
        ]
        for stage in cost.stages
    ]
    rows.append(
        [
            "all",
            str(sum(stage.to_make for stage in cost.stages)),
            "unknown" if cost.seconds is None else duration(cost.seconds),
            size(sum(stage.num_bytes for stage in cost.stages)),
            "-" if cost.peak_bytes is None else size(cost.peak_bytes),
            "",
        ]
    )
    return Section(_COLUMNS, rows, {"to make", "time", "disk", "peak memory"})


def as_data(cost: RunCost) -> list[dict[str, Any]]:
    """Costs of every stage, JSON-ready."""
    return [
        {
            "stage": stage.stage.value,
            "to_make": stage.to_make,
            "seconds": stage.seconds,
            "disk_bytes": stage.num_bytes,
            "peak_memory_bytes": stage.peak_bytes,
            "source": in_words(stage.rates),
        }
        for stage in cost.stages
    ]


def _time(stage: StageCost) -> str:
    return "unknown" if stage.seconds is None else duration(stage.seconds)
