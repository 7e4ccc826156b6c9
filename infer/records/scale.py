"""Costs of a sweep's jobs over the sizes of a data set and of the budget: measured where a job was run, otherwise
estimated by the cost model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infer.records.run import Run
from infer.tables import count

MEASURED, ESTIMATE = "measured", "estimate"
AXES = {"classes": "classes", "image_size": "pixels along an edge", "ipc": "ipc, images per class"}
"""Sizes that may vary along a line, with their titles."""
QUANTITIES = {"seconds": "time", "peak_memory_bytes": "peak memory", "total_bytes": "bytes"}
_UNITS = {"classes": "classes", "image_size": "px", "ipc": "ipc", "train_per_class": "training images per class"}


@dataclass(frozen=True)
class Costs:
    """Costs of one job by quantity; None where a number is not known."""

    sizes: Mapping[str, int]
    expected: Mapping[str, float | None]
    """Estimates of the cost model for the whole job; bytes follow from the sizes."""
    measured: Mapping[str, float | None]
    """Measured costs; empty where the job was not run."""

    @property
    def source(self) -> str:
        """``MEASURED`` if the job was run, otherwise ``ESTIMATE``."""
        return MEASURED if self.measured else ESTIMATE

    def shown(self, quantity: str) -> float | None:
        """The measured ``quantity`` if the job was run, otherwise the estimate."""
        return (self.measured or self.expected)[quantity]


@dataclass(frozen=True)
class CostLine:
    """Jobs that differ only in the size ``axis``, in ascending order."""

    axis: str
    points: Sequence[Costs]

    @property
    def fixed(self) -> str:
        """The equal sizes as text, such as ``10 classes, 8 px, 144 training images per class``."""
        return ", ".join(_sized(key, size) for key, size in self.points[0].sizes.items() if key != self.axis)

    def step(self, before: Costs, after: Costs) -> str:
        """The change of the size from ``before`` to ``after`` as text, such as ``10 → 100 classes``."""
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
    """Lines of jobs with recorded costs, along every axis in which only several jobs differ."""
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
    """Paragraph with the factors from the smallest to the largest job of each line, and the errors of the cost model.

    None where there are no lines.
    """
    sentences = [sentence for line in cost_lines(runs) for sentence in _factors(line)]
    return " ".join([*sentences, *_accuracy(runs)]) if sentences else None


def _factors(line: CostLine) -> Iterator[str]:
    """Sentences with factors between the first and last measured job, and between the ends if one is an estimate."""
    made = [costs for costs in line.points if costs.measured]
    if len(made) > 1:
        factors = _times(made[0].measured, made[-1].measured)
        yield f"{line.step(made[0], made[-1])} ({line.fixed}), {MEASURED}: {factors}."
    first, last = line.points[0], line.points[-1]
    if not last.measured or not first.measured:
        yield f"{line.step(first, last)} ({line.fixed}), {ESTIMATE}: {_times(first.expected, last.expected)}."


def _times(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> str:
    """Ratios of costs as text, such as ``8.1 times the time, 1.2 times the peak memory, 10 times the bytes``."""
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
    """``factor`` with two significant digits, such as 0.85, 3.0, 85 or 1,200."""
    return f"{float(f'{factor:.2g}'):,.0f}" if factor >= 10 else f"{factor:.{1 if factor >= 1 else 2}f}"


def _sized(key: str, size: int) -> str:
    return f"{_UNITS[key]} {size:,}" if key == "ipc" else f"{size:,} {_UNITS[key]}"
