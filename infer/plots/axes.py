"""Swept settings as axes of plots: their titles, the order of their values, and their scale."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infer.records.measurements import REPLICATE
from infer.records.rows import Rows, swept_keys
from infer.records.settings import ABSENT
from infer.tables import is_number, shown

_TITLES = {
    "M": "teachers M",
    "K": "natural subsets K",
    "ipc": "storage budget ipc, images per class",
    "dataset": "data set",
    "student.archs": "students",
    "teachers.archs": "ensemble of teachers",
    "teachers.lr": "teachers' learning rate",
    "teachers.epochs": "teachers' epochs",
    "method.lr": "learning rate of the images",
    "method.iterations": "iterations of the distillation",
    "method.bn_weight": "weight of the batch-norm penalty",
    "evaluate.lr": "student's learning rate",
    "evaluate.epochs": "student's epochs",
    "evaluate.steps": "student's updates",
    "evaluate.batch_size": "student's batch size",
    "evaluate.temperature": "temperature of the labels",
}
_DECADE = 10


@dataclass(frozen=True)
class Axis:
    """A config group or setting that was swept."""

    key: str
    values: Sequence[Any]
    """All different values: numbers in ascending order, others in the order of the jobs."""

    @property
    def title(self) -> str:
        """Title of the axis in a plot."""
        return _TITLES.get(self.key, self.key)

    @property
    def file_name(self) -> str:
        """The key in characters that every file system accepts."""
        return re.sub(r"[^\w-]+", "_", self.key)

    @property
    def is_numeric(self) -> bool:
        """True if all values are numbers; otherwise they are names."""
        return all(is_number(value) for value in self.values)

    @property
    def names(self) -> list[str]:
        """The values as text for tick labels."""
        return [", ".join(map(shown, value)) if isinstance(value, list) else shown(value) for value in self.values]

    def place(self, value: Any) -> float:
        """Coordinate of ``value``: the number itself, or the position of a name among the names."""
        return float(value) if self.is_numeric else float(self.rank(value))

    def rank(self, value: Any) -> int:
        """The position of ``value`` among the values."""
        return [shown(known) for known in self.values].index(shown(value))


def axes_of(rows: Rows) -> list[Axis]:
    """Axes of the keys that the sweep varies and whose values differ. The seed is not an axis: it gives repeats."""
    keys = [key for key in rows.columns if key in swept_keys(rows.runs) and key != REPLICATE]
    return [Axis(key, _values(rows, key)) for key in keys]


def spans_a_decade(numbers: Sequence[float]) -> bool:
    """True if ``numbers`` are positive and span more than a factor of ten, so that a logarithmic scale is better."""
    return min(numbers) > 0 and max(numbers) / min(numbers) > _DECADE


def _values(rows: Rows, key: str) -> list[Any]:
    """Known values of all runs, also of those that are not done, whose places stay empty in a plot."""
    column = rows.columns[key]
    known = [value for i, value in enumerate(column) if value != ABSENT or i in rows.done]
    values = list({shown(value): value for value in known}.values())
    return sorted(values) if all(is_number(value) for value in values) else values
