"""Costs of a run for its record: those that the cost model expects, and those that were measured."""

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
    """Expected costs of all artefacts of the requested stages, including those that exist already; JSON-ready.

    ``unmade`` is the reason why the run makes nothing (``scale.most_minutes``); null where it does its work.
    """
    cost = estimate(context, plan, from_nothing=True)
    sizes = {
        "classes": context.data.num_classes,
        "image_size": context.data.image_size,
        "ipc": context.config.ipc,
        "train_per_class": context.data.train_counts[0],
    }
    source = in_words(rate for stage in cost.stages for rate in stage.rates)
    peak_since_last(context.device)  # so that timed steps do not count towards the first artefact
    return {
        "sizes": sizes,
        "expected": {"seconds": cost.seconds, "peak_memory_bytes": cost.peak_bytes, "source": source},
        "unmade": _reason_against(context, cost.seconds, cost.peak_bytes or 0),
    }


def measured_costs(context: Context, plan: ArtefactPlan) -> dict[str, Any]:
    """Measured seconds and peak memory of the artefacts of the requested stages, whichever run made them; JSON-ready.

    A number is null where a record lacks it: the time of work that was interrupted, and memory on systems that cannot
    reset its peak.
    """
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
        return f"it takes {size(peak)} of memory, and there is {size(memory)}"
    if seconds is None:
        return "its time cannot be estimated"
    return f"it takes {duration(seconds)}, more than scale.most_minutes={minutes:g}" if seconds > 60 * minutes else None
