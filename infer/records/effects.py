"""Effects of a sweep's settings: the difference from each value to the next, beside its noise."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from infer.records.measurements import REPLICATE, Measurement, measurements_of
from infer.records.noise import LEVEL, two_sided_p, welch
from infer.records.rows import Rows
from infer.records.settings import ABSENT
from infer.records.statistics import Summary, summarise
from infer.tables import is_number, shown

EFFECTS_NOTE = (
    f"Differences of top-1 in percentage points ± their standard error; more than noise where p < {LEVEL:g}, by "
    "Welch's t-test between two values, by a paired t-test over the combinations of the other settings where there "
    "are several. Numbers are compared with the next lower one, names with the first."
)
_MOST_LINES = 24


def effects_of(rows: Rows) -> list[str]:
    """A sentence per pair of neighbouring values of each varying setting; none where the rows cannot be compared."""
    points = [point for point in measurements_of(rows) if point.leading is not None]
    if rows.unlike or len(points) < 2:
        return []
    keys = [key for key in rows.columns if key != REPLICATE]
    return [line for key in keys for line in _along(key, points)][:_MOST_LINES]


def _along(key: str, points: Sequence[Measurement]) -> Iterator[str]:
    """The steps along one setting: from number to number, or from the first name to each other."""
    values = list({shown(point.values[key]): point.values[key] for point in points}.values())
    numeric = all(is_number(value) for value in values)
    values = sorted(values) if numeric else values
    for place in range(1, len(values)):
        before, after = values[place - 1 if numeric else 0], values[place]
        if ABSENT not in (before, after) and (outcome := _step(key, before, after, points)):
            yield f"{key}={shown(before)} → {shown(after)}: {outcome}"


def _step(key: str, before: Any, after: Any, points: Sequence[Measurement]) -> str | None:
    """The difference from ``before`` to ``after``; None where no combination has both."""
    pairs = list(_pairs(key, before, after, points))
    if not pairs:
        return None
    if len(pairs) == 1:
        return _between(*pairs[0])
    differences = summarise([b["mean"] - a["mean"] for a, b in pairs])
    return f"{_paired(differences)} over {len(pairs)} combinations"


def _pairs(key: str, before: Any, after: Any, points: Sequence[Measurement]) -> Iterator[tuple[Summary, Summary]]:
    """Scores that differ in ``key`` alone."""
    found: dict[str, dict[str, Summary]] = {}
    for point in points:
        others = shown(sorted((name, shown(value)) for name, value in point.values.items() if name != key))
        if point.leading is not None:
            found.setdefault(others, {})[shown(point.values[key])] = point.leading
    for scores in found.values():
        if shown(before) in scores and shown(after) in scores:
            yield scores[shown(before)], scores[shown(after)]


def _between(a: Summary, b: Summary) -> str:
    difference, test = b["mean"] - a["mean"], welch(a, b)
    if test is None or a["std"] is None or b["std"] is None:
        return f"{difference:+.2f} (no spread to judge it by)"
    error = math.sqrt(a["std"] ** 2 / a["n"] + b["std"] ** 2 / b["n"])
    return f"{difference:+.2f} ± {error:.2f} ({_worth(test.p)})"


def _paired(differences: Summary) -> str:
    if not differences["std"]:
        return f"{differences['mean']:+.2f} (no spread to judge it by)"
    error = differences["std"] / math.sqrt(differences["n"])
    p = two_sided_p(differences["mean"] / error, differences["n"] - 1)
    return f"{differences['mean']:+.2f} ± {error:.2f} ({_worth(p)})"


def _worth(p: float) -> str:
    return "more than noise" if p < LEVEL else "within noise"
