"""Costs of a run in its record: those that the cost model expects, and those that its artefacts had."""

from collections.abc import Sequence
from typing import Any

from infer.console import duration, size
from infer.context import Context
from infer.costs import estimate
from infer.costs.rate import in_words
from infer.environment import memory_bytes, peak_since_last
from infer.pipeline.plan import ArtefactPlan
from infer.store import Artefact


def expected_costs(context: Context, plan: ArtefactPlan) -> dict[str, Any]:
    """Costs of all that the stages asked for make, also where it is there already, and the reason why they are left
    unmade, null where they are not; JSON-ready."""
    cost = estimate(context, plan, from_nothing=True)
    sizes = {
        "classes": context.data.num_classes,
        "image_size": context.data.image_size,
        "ipc": context.config.ipc,
        "train_per_class": context.data.train_counts[0],
    }
    source = in_words(rate for stage in cost.stages for rate in stage.rates)
    peak_since_last(context.device)  # timed steps are no part of what is made next
    return {
        "sizes": sizes,
        "expected": {"seconds": cost.seconds, "peak_memory_bytes": cost.peak_bytes, "source": source},
        "unmade": _reason_against(context, cost.seconds, cost.peak_bytes or 0),
    }


def measured_costs(context: Context, plan: ArtefactPlan) -> dict[str, Any]:
    """Seconds and peak memory of the artefacts of the stages asked for, whichever run made them; null for a number
    that a record lacks: an interrupted work's time, memory on systems that do not tell it piece by piece."""
    made: Sequence[Artefact] = [each for stage in context.config.stages for each in plan.get(stage, [])]
    records = [context.store.record(artefact) for artefact in made]
    peaks: list[int | None] = [record.get("peak_memory_bytes") for record in records]
    known = [peak for peak in peaks if peak is not None]
    return {
        "seconds": sum(r["seconds"] for r in records) if all("work" in record for record in records) else None,
        "peak_memory_bytes": max(known, default=None) if len(known) == len(peaks) else None,
    }


def _reason_against(context: Context, seconds: float | None, peak: int) -> str | None:
    minutes, memory = context.config.scale.most_minutes, memory_bytes(context.device)
    if minutes is None:
        return None
    if peak > memory:
        return f"it takes {size(peak)} of memory, and there are {size(memory)}"
    if seconds is None:
        return "it takes a time that cannot be foretold"
    return f"it takes {duration(seconds)}, more than scale.most_minutes={minutes:g}" if seconds > 60 * minutes else None
