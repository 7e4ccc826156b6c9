"""Space of a search: ranges of the settings that are searched, and the words that all jobs have in common."""

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
"""Number of significant digits of a value from an interval; few, since values are part of the names of folders."""
_WHOLE = re.compile(r"interval\(\s*(start=)?-?\d+\s*,\s*(end=)?-?\d+\s*\)")
"""Pattern of an interval between integers, from which only integers are chosen."""


@dataclass(frozen=True)
class Space:
    """Settings of a search."""

    ranges: Mapping[str, Override]
    """Overrides with an interval or several values, by setting."""
    fixed: list[str]
    """Words that all jobs have in common."""

    @classmethod
    def of(cls, overrides: Sequence[Override]) -> "Space":
        """The space of a command line; of several overrides with the same key the last one counts."""
        last = {override.get_key_element(): override for override in overrides}
        fixed = [
            f"{key}={each.get_value_element_as_str()}" for key, each in last.items() if not each.is_sweep_override()
        ]
        return cls({key: each for key, each in last.items() if each.is_sweep_override()}, fixed)

    @property
    def in_words(self) -> dict[str, list[str]]:
        """Ranges as typed, by setting."""
        return {key: [str(each.input_line).partition("=")[2]] for key, each in self.ranges.items()}

    @property
    def described(self) -> dict[str, object]:
        """Everything in which a search and one that resumes it must agree, JSON-ready."""
        fixed = [word for word in self.fixed if has_effect(word.partition("=")[0].lstrip("+~"))]
        return {"ranges": self.in_words, "fixed": fixed}

    def corners(self) -> list[list[str]]:
        """Words of jobs that together have both ends of every interval and all choices, to be checked beforehand."""
        values = {key: _ends(override) for key, override in self.ranges.items()}
        longest = max(map(len, values.values()), default=1)
        columns = {key: list(itertools.islice(itertools.cycle(several), longest)) for key, several in values.items()}
        return [[*self.fixed, *(f"{key}={column[row]}" for key, column in columns.items())] for row in range(longest)]

    def words_of(self, trial: "optuna.Trial") -> list[str]:
        """The words of the job for ``trial``, whose values Optuna chooses."""
        return [*self.fixed, *(f"{key}={_suggested(trial, key, override)}" for key, override in self.ranges.items())]


def _ends(override: Override) -> list[str]:
    """Both ends of an interval, or all choices."""
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
    if _WHOLE.search(str(override.input_line)):  # matched in the text, since Hydra converts the ends to floats
        return str(trial.suggest_int(key, int(value.start), int(value.end), log=is_log))
    return _shown(trial.suggest_float(key, value.start, value.end, log=is_log))


def _shown(number: float | None) -> str:
    return f"{number:.{_DIGITS}g}"
