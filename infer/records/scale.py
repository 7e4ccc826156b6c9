"""Costs of a sweep's jobs over the sizes of a data set and of the budget: measured where a job was made, else expected
by the cost model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infer.records.run import Run
from infer.tables import count

MEASURED, ESTIMATE = "measured", "estimate"
AXES = {"classes": "classes", "image_size": "pixels along an edge", "ipc": "ipc, images per class"}
"""Sizes that lines run along, with their titles."""
QUANTITIES = {"seconds": "time", "peak_memory_bytes": "peak memory", "total_bytes": "bytes"}
_UNITS = {"classes": "classes", "image_size": "px", "ipc": "ipc", "train_per_class": "training images per class"}


@dataclass(frozen=True)
class Costs:
    """Costs of one job, by quantity; None where a number is not known."""

    sizes: Mapping[str, int]
    expected: Mapping[str, float | None]
    """By the cost model, for the whole job; bytes follow from the sizes."""
    measured: Mapping[str, float | None]
    """Empty where the job was not made."""

    @property
    def source(self) -> str:
        """``MEASURED`` or ``ESTIMATE``."""
        return MEASURED if self.measured else ESTIMATE

    def shown(self, quantity: str) -> float | None:
        """The measured number of a job that was made, else the expected one."""
        return (self.measured or self.expected)[quantity]


@dataclass(frozen=True)
class CostLine:
    """Jobs that differ in one size alone, from the smallest to the largest."""

    axis: str
    points: Sequence[Costs]

    @property
    def fixed(self) -> str:
        """Sizes that all have in common: ``10 classes, 8 px, 144 training images per class``."""
        return ", ".join(_sized(key, size) for key, size in self.points[0].sizes.items() if key != self.axis)

    def step(self, before: Costs, after: Costs) -> str:
        """``10 → 100 classes``."""
        ends = f"{before.sizes[self.axis]:,} → {after.sizes[self.axis]:,}"
        return f"ipc {ends}" if self.axis == "ipc" else f"{ends} {_UNITS[self.axis]}"


def costs_of(run: Run) -> Costs | None:
    """The costs in the record of ``run``; None where it has none."""
    recorded: dict[str, Any] | None = run.record.get("costs")
    if recorded is None:
        return None
    total = {"total_bytes": run.record["storage"].get("total_bytes")}
    measured = recorded.get("measured")
    return Costs(recorded["sizes"], recorded["expected"] | total, measured | total if measured else {})


def cost_lines(runs: Sequence[Run]) -> list[CostLine]:
    """Lines of the jobs that have costs, along every axis that several differ in alone."""
    known = [costs for run in runs if (costs := costs_of(run))]
    lines = []
    for axis in AXES:
        groups: dict[str, dict[int, Costs]] = {}
        for costs in known:
            others = str({key: size for key, size in costs.sizes.items() if key != axis})
            groups.setdefault(others, {})[costs.sizes[axis]] = costs
        several = [group for group in groups.values() if len(group) > 1]
        lines += [CostLine(axis, [group[size] for size in sorted(group)]) for group in several]
    return lines


def costs_in_words(runs: Sequence[Run]) -> str | None:
    """A paragraph: factors from the smallest to the largest job of each line, and how far the cost model was off; None
    where there are no lines."""
    sentences = [sentence for line in cost_lines(runs) for sentence in _factors(line)]
    return " ".join([*sentences, *_accuracy(runs)]) if sentences else None


def _factors(line: CostLine) -> Iterator[str]:
    """The factors between measured ends, and between ends of which one or both are estimates."""
    made = [costs for costs in line.points if costs.measured]
    if len(made) > 1:
        factors = _times(made[0].measured, made[-1].measured)
        yield f"{line.step(made[0], made[-1])} ({line.fixed}), {MEASURED}: {factors}."
    first, last = line.points[0], line.points[-1]
    if not last.measured or not first.measured:
        yield f"{line.step(first, last)} ({line.fixed}), {ESTIMATE}: {_times(first.expected, last.expected)}."


def _times(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> str:
    """``8.1 times the time, 1.2 times the peak memory, 10 times the bytes``."""
    factors = {
        title: new / old
        for quantity, title in QUANTITIES.items()
        if (old := before[quantity]) and (new := after[quantity]) is not None
    }
    return ", ".join(f"{_rounded(factor)} times the {title}" for title, factor in factors.items())


def _accuracy(runs: Sequence[Run]) -> Iterator[str]:
    made = [costs for run in runs if (costs := costs_of(run)) and costs.measured]
    for quantity in ("seconds", "peak_memory_bytes"):
        ratios = [
            measured / expected
            for costs in made
            if (measured := costs.measured[quantity]) and (expected := costs.expected[quantity])
        ]
        if ratios:
            low, high = min(ratios), max(ratios)
            yield (
                f"Over {count(ratios, 'measured job')} the {QUANTITIES[quantity]} was {_rounded(low)} to "
                f"{_rounded(high)} times what the cost model expected."
            )


def _rounded(factor: float) -> str:
    """Two digits: 0.85, 3.0, 85, 1,200."""
    return f"{float(f'{factor:.2g}'):,.0f}" if factor >= 10 else f"{factor:.{1 if factor >= 1 else 2}f}"


def _sized(key: str, size: int) -> str:
    return f"{_UNITS[key]} {size:,}" if key == "ipc" else f"{size:,} {_UNITS[key]}"
