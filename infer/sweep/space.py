"""The space of a search: the ranges of the settings that are searched, and the words that all of its jobs have."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override

from infer.records.settings import has_effect
from infer.sweep.axes import values_of

if TYPE_CHECKING:
    import optuna

_DIGITS = 4
"""Significant digits of a value from an interval: names of folders hold it."""
_WHOLE = re.compile(r"interval\(\s*(start=)?-?\d+\s*,\s*(end=)?-?\d+\s*\)")
"""An interval of whole numbers, whose values are whole numbers, too."""


@dataclass(frozen=True)
class Space:
    """The settings of a search: the ranges of those that are searched, and the words that all jobs have."""

    ranges: Mapping[str, Override]
    fixed: list[str]

    @classmethod
    def of(cls, overrides: Sequence[Override]) -> "Space":
        """The space of a command line, on which a later override wins over an earlier one of the same key."""
        last = {override.get_key_element(): override for override in overrides}
        fixed = [
            f"{key}={each.get_value_element_as_str()}" for key, each in last.items() if not each.is_sweep_override()
        ]
        return cls({key: each for key, each in last.items() if each.is_sweep_override()}, fixed)

    @property
    def in_words(self) -> dict[str, list[str]]:
        """Ranges as they were typed, by setting."""
        return {key: [str(each.input_line).partition("=")[2]] for key, each in self.ranges.items()}

    @property
    def described(self) -> dict[str, object]:
        """All that two searches must have in common to be one, JSON-ready."""
        fixed = [word for word in self.fixed if has_effect(word.partition("=")[0].lstrip("+~"))]
        return {"ranges": self.in_words, "fixed": fixed}

    def corners(self) -> list[list[str]]:
        """Words of jobs in which every end of an interval and every choice comes up, to be checked beforehand."""
        values = {key: _ends(override) for key, override in self.ranges.items()}
        longest = max(map(len, values.values()), default=1)
        columns = {key: list(itertools.islice(itertools.cycle(several), longest)) for key, several in values.items()}
        return [[*self.fixed, *(f"{key}={column[row]}" for key, column in columns.items())] for row in range(longest)]

    def words_of(self, trial: "optuna.Trial") -> list[str]:
        """The words of the job that ``trial`` is."""
        return [*self.fixed, *(f"{key}={_suggested(trial, key, override)}" for key, override in self.ranges.items())]


def _ends(override: Override) -> list[str]:
    """Both ends of an interval, or every choice."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [_shown(value.start), _shown(value.end)]
    return values_of(override)


def _suggested(trial: "optuna.Trial", key: str, override: Override) -> str:
    """The value of the setting ``key`` that Optuna chooses for ``trial``."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return str(trial.suggest_categorical(key, values_of(override)))
    is_log = "log" in value.tags
    assert value.start is not None and value.end is not None
    if _WHOLE.search(str(override.input_line)):  # Hydra makes floats of them
        return str(trial.suggest_int(key, int(value.start), int(value.end), log=is_log))
    return _shown(trial.suggest_float(key, value.start, value.end, log=is_log))


def _shown(number: float | None) -> str:
    return f"{number:.{_DIGITS}g}"
