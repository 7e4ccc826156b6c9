"""Measurements: runs combined that differ only in their seed, and the best of several measurements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from infer.records.rows import Rows
from infer.records.run import Run
from infer.records.statistics import Summary, summarise
from infer.tables import Section, count, or_dash, shown

REPLICATE = "seed"
"""The setting whose values give repeats of the same measurement."""


@dataclass(frozen=True)
class Measurement:
    """Scores for one combination of the varying values."""

    values: dict[str, Any]
    """Varying values, without the seed."""
    runs: Sequence[Run]
    """A finished run, or one for each seed."""
    over_seeds: bool
    """True if the seed varies, so that each run gives one value and not one per student."""
    name: str

    @property
    def split(self) -> str:
        """The split on which the leading number is measured: test or val."""
        return self.runs[0].split

    @property
    def leading(self) -> Summary | None:
        """Top-1 of the leading student on ``split``."""
        return self.score(f"{self.split}/top1")

    def score(self, key: str) -> Summary | None:
        """Summary of the metric ``key`` over the run's students or, with several seeds, over the means of the runs.

        None where it was not measured.
        """
        scores = [score for run in self.runs if (score := run.score(key)) is not None]
        if not self.over_seeds:
            return scores[0] if scores else None
        return summarise([score["mean"] for score in scores]) if scores else None


def measurements_of(rows: Rows) -> list[Measurement]:
    """Measurements of the finished runs; of runs with the same values and the same seed, the first is used."""
    over_seeds = REPLICATE in rows.columns
    groups: dict[str, dict[str, int]] = {}
    for i in rows.done:
        values = rows.values(i)
        seed = shown(values.pop(REPLICATE, None))
        groups.setdefault(in_words(values), {}).setdefault(seed, i)
    return [_measurement(rows, label, list(positions.values()), over_seeds) for label, positions in groups.items()]


def in_words(values: dict[str, Any]) -> str:
    """``values`` as text, such as ``M=2, K=1``."""
    return ", ".join(f"{key}={shown(value)}" for key, value in values.items())


def best_of(rows: Rows) -> str | None:
    """``best_in_words`` of ``rows``; None where their numbers cannot be compared."""
    return None if rows.unlike else best_in_words(measurements_of(rows))


def best_in_words(measurements: Sequence[Measurement]) -> str | None:
    """Sentence with the best of several comparable measurements and its test score; None for a single one.

    The score by which a measurement was chosen is biased upwards. The test score of a choice on val is not, so it is
    the one to report.
    """
    measured = [(each.leading["mean"], each) for each in measurements if each.leading is not None]
    if len(measured) < 2:
        return None
    _, best = max(measured, key=lambda scored: scored[0])
    if best.split == "val":
        chosen = f"chosen on val ({shown(best.leading)})"
        return f"best: {best.name}, {chosen}, test top-1 {or_dash(best.score('test/top1'))}"
    return (
        f"best: {best.name}, test top-1 {shown(best.leading)}, CHOSEN ON THE TEST SPLIT, so it is optimistic: "
        "type evaluate.split=val to choose on held-out training images"
    )


def over_seeds(measurements: Sequence[Measurement], measures: Sequence[str], titles: Sequence[str]) -> Section | None:
    """Table of ``measures`` over the seeds of each combination; None where the seed does not vary."""
    if not measurements or not measurements[0].over_seeds:
        return None
    rows = [
        [in_words(measurement.values) or "all", *(or_dash(measurement.score(measure)) for measure in measures)]
        for measurement in measurements
    ]
    seeds = {run.setting(REPLICATE) for measurement in measurements for run in measurement.runs}
    note = "mean ± standard deviation (n) over seeds, each seed with its students' mean"
    return Section((f"over {count(seeds, 'seed')}", *titles), rows, notes=[note])


def _measurement(rows: Rows, label: str, positions: Collection[int], over_seeds: bool) -> Measurement:
    runs = [rows.runs[i] for i in positions]
    first = next(iter(positions))
    values = {key: value for key, value in rows.values(first).items() if key != REPLICATE}
    name = f"{label} over {count(runs, 'seed')}" if over_seeds else rows.names[first]
    return Measurement(values, runs, over_seeds, name)
