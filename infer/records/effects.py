"""Effects of a sweep's settings: differences between values of a setting, compared with their noise."""

from collections.abc import Iterator, Sequence
from typing import Any

from infer.records.measurements import REPLICATE, in_words, measurements_of
from infer.records.noise import LEVEL, judgement, mean_difference, welch_over_pairs
from infer.records.rows import Rows, swept_keys
from infer.records.settings import ABSENT
from infer.records.statistics import Summary
from infer.tables import is_number, shown

EFFECTS_HEAD = "steps along the axes, in points of top-1 ± their standard error over students:"
EFFECTS_NOTE = (
    "Differences of top-1 in percentage points ± their standard error over students, averaged over the combinations of "
    f"the other settings; more than noise where Welch's t-test gives p < {LEVEL:g}. A number is compared with the next "
    "lower one, a name with the first."
)
_MOST_LINES = 24
Scored = tuple[dict[str, Any], Summary]
"""Values of the swept settings, and the score for them."""


def effects_of(rows: Rows) -> list[str]:
    """A sentence for each pair of neighbouring values of each swept setting; empty where rows cannot be compared."""
    points = [point for point in measurements_of(rows) if point.leading is not None]
    if rows.unlike or len(points) < 2:
        return []
    swept = [key for key in swept_keys(rows.runs) if key in rows.columns]
    keys = [key for key in swept or rows.columns if key != REPLICATE]  # K may be a column since it follows from M
    scores = [({key: point.values[key] for key in keys}, point.leading) for point in points if point.leading]
    return [line for key in keys for line in _along(key, scores)][:_MOST_LINES]


def _along(key: str, points: Sequence[Scored]) -> Iterator[str]:
    """Sentences on the steps of one setting: from each number to the next, or from the first name to every other."""
    values = list({shown(values[key]): values[key] for values, _ in points}.values())
    numeric = all(is_number(value) for value in values)
    values = sorted(values) if numeric else values
    for place in range(1, len(values)):
        before, after = values[place - 1 if numeric else 0], values[place]
        if ABSENT not in (before, after) and (outcome := _step(key, before, after, points)):
            yield f"{key}={shown(before)} → {shown(after)}: {outcome}"


def _step(key: str, before: Any, after: Any, points: Sequence[Scored]) -> str | None:
    """Text on the difference from ``before`` to ``after``, averaged over combinations with both; None without any."""
    pairs = list(_pairs(key, before, after, points))
    if not pairs:
        return None
    difference, test = mean_difference(pairs), welch_over_pairs(pairs)
    several = f", over {len(pairs)} combinations" if len(pairs) > 1 else ""
    error = f" ± {test.error:.2f}" if test else ""
    return f"{difference:+.2f}{error} ({judgement(test)}{several})"


def _pairs(key: str, before: Any, after: Any, points: Sequence[Scored]) -> Iterator[tuple[Summary, Summary]]:
    """Pairs of scores for ``before`` and ``after`` that differ in no other setting."""
    found: dict[str, dict[str, Summary]] = {}
    for values, score in points:
        others = in_words({name: value for name, value in values.items() if name != key})
        found.setdefault(others, {})[shown(values[key])] = score
    for scores in found.values():
        if shown(before) in scores and shown(after) in scores:
            yield scores[shown(before)], scores[shown(after)]
