"""Swept settings as the axes of plots: their names for a reader, the order of their values, their scale."""

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
    """Each once; numbers by size, others in the order of the jobs."""

    @property
    def title(self) -> str:
        """For the axis of a plot."""
        return _TITLES.get(self.key, self.key)

    @property
    def file_name(self) -> str:
        """The key in letters that every file system takes."""
        return re.sub(r"[^\w-]+", "_", self.key)

    @property
    def is_numeric(self) -> bool:
        """True if its values lie on a scale; else they are names."""
        return all(is_number(value) for value in self.values)

    @property
    def names(self) -> list[str]:
        """The values as they stand at a plot's axis."""
        return [", ".join(map(shown, value)) if isinstance(value, list) else shown(value) for value in self.values]

    def place(self, value: Any) -> float:
        """Place of ``value``: a number at itself, a name at its position among the names."""
        return float(value) if self.is_numeric else float(self.rank(value))

    def rank(self, value: Any) -> int:
        """The position of ``value`` among the values."""
        return [shown(known) for known in self.values].index(shown(value))


def axes_of(rows: Rows) -> list[Axis]:
    """Keys that the sweep's plan varies and that differ indeed; its seeds are repeats and no axis."""
    keys = [key for key in rows.columns if key in swept_keys(rows.runs) and key != REPLICATE]
    return [Axis(key, _values(rows, key)) for key in keys]


def spans_a_decade(numbers: Sequence[float]) -> bool:
    """True if positive ``numbers`` lie so far apart that ratios say more than differences."""
    return min(numbers) > 0 and max(numbers) / min(numbers) > _DECADE


def _values(rows: Rows, key: str) -> list[Any]:
    """Values of all runs, as far as they are known, so that what is not done yet leaves its place empty."""
    column = rows.columns[key]
    known = [value for i, value in enumerate(column) if value != ABSENT or i in rows.done]
    values = list({shown(value): value for value in known}.values())
    return sorted(values) if all(is_number(value) for value in values) else values
