"""Runs side by side: the values that vary between them, also for jobs without a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omegaconf import OmegaConf

from infer.records.run import DONE, Run
from infer.records.settings import (
    ABSENT,
    Settings,
    Variation,
    has_effect,
    planned_words,
    settings_of,
    typed_values,
    variation,
)
from infer.tables import shown


@dataclass(frozen=True)
class Rows:
    """Several runs, and the values in which they differ."""

    runs: Sequence[Run]
    variation: Variation
    """Variation between the settings of the runs that have a record."""
    columns: Mapping[str, Sequence[Any]]
    """Varying values by config group or setting, one per run, ``ABSENT`` where a run has none or it is not known. Swept
    keys come first, then config groups."""

    @cached_property
    def done(self) -> list[int]:
        """Positions of the finished runs."""
        return [i for i, run in enumerate(self.runs) if run.state == DONE]

    @cached_property
    def sweep(self) -> str | None:
        """The name of the sweep that all runs are jobs of; None where there is no such sweep."""
        sweeps = {run.name.partition("/")[0] if "/" in run.name else None for run in self.runs}
        return sweeps.pop() if len(sweeps) == 1 else None

    def _protocol_varied(self, name: str) -> str:
        """The name of a job's protocol, without the marks of changed settings and, if swept, of labels."""
        name = name.rstrip("*")
        return name.partition("+")[0] if "labeling" in swept_keys(self.runs) else name

    @cached_property
    def names(self) -> list[str]:
        """Names of the runs, without the name of the sweep where all are of the same one."""
        start = len(self.sweep) + 1 if self.sweep else 0
        return [run.name[start:] for run in self.runs]

    @cached_property
    def unlike(self) -> dict[str, list[str]]:
        """Facts that make the numbers incomparable, each with its different values.

        A sweep may vary settings of a protocol, so that only some jobs have a star in its name, or labels, so that
        only some have these in its name. Such differences do not count.
        """
        bases = [self.runs[i].basis for i in self.done]
        if self.sweep:
            bases = [basis | {"PROTOCOL": self._protocol_varied(shown(basis["PROTOCOL"]))} for basis in bases]
        values = {key: list(dict.fromkeys(shown(basis[key]) for basis in bases)) for key in (bases[0] if bases else ())}
        return {key: different for key, different in values.items() if len(different) > 1}

    def at(self, positions: Sequence[int]) -> "Rows":
        """The rows at ``positions``, with the same columns."""
        columns = {key: [column[i] for i in positions] for key, column in self.columns.items()}
        return Rows([self.runs[i] for i in positions], self.variation, columns)

    def values(self, position: int) -> dict[str, Any]:
        """Varying values of the run at ``position``."""
        return {key: column[position] for key, column in self.columns.items()}


def side_by_side(runs: Sequence[Run]) -> Rows:
    """Compare the settings of ``runs``; for runs without a record, those in the plan of their sweep are used."""
    settings = [settings_of(run) if run.record["config"] else None for run in runs]
    varying = variation([each for each in settings if each is not None])
    planned = [_planned_values(run) for run in runs]
    columns = {
        key: [
            plan.get(key, ABSENT) if each is None else _value(each, key)
            for each, plan in zip(settings, planned, strict=True)
        ]
        for key in dict.fromkeys([*swept_keys(runs), *varying.choices, *varying.settings])
    }
    return Rows(runs, varying, {key: values for key, values in columns.items() if _vary(values)})


def swept_keys(runs: Sequence[Run]) -> list[str]:
    """Keys with different values in the plan of a sweep, except those that cannot affect results."""
    plans = [typed_values(planned_words(run)) for run in runs if run.planned]
    typed = dict.fromkeys(key for plan in plans for key in plan)
    return [key for key in typed if has_effect(key) and len({plan.get(key) for plan in plans}) > 1]


def _planned_values(run: Run) -> dict[str, Any]:
    """Values in the words of a planned job, parsed as YAML."""
    typed = typed_values(planned_words(run))
    read = {key: OmegaConf.from_dotlist([f"value={text}"]) for key, text in typed.items()}
    return {key: OmegaConf.to_container(value).get("value") for key, value in read.items()}  # type: ignore[union-attr] # of a mapping


def _value(settings: Settings, key: str) -> Any:
    """The option of ``key`` if it is a config group, otherwise the value of the setting."""
    options = {group.split("@")[0]: option for group, option in settings.choices.items()}
    return options[key] if key in options else settings.values.get(key, ABSENT)


def _vary(values: Sequence[Any]) -> bool:
    return len({shown(value) for value in values}) > 1
