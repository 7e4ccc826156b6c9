"""Differences between the settings of several runs, of which some only follow from another choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import ListConfig, OmegaConf
from yaml import YAMLError

from infer.records.names import OVERRIDES
from infer.records.run import Run

ABSENT = "-"
"""Placeholder for the value of a setting that a run does not have."""
_WITHOUT_EFFECT = (
    "outputs",
    "force",
    "device",
    "processes",
    "worker",
    "analyses",
    "checkpoint_minutes",
    "cluster",
    "tracker",
    "sweep.stop_on_failure",
    "sweep.retry",
    "sweep.trials",
    "sweep.prune",
    "sweep.resume",
    "sweep.zip",
    "sweep.points",
    "sweep.exclude",
    "dataset.root",
    "dataset.download",
)
_CHOICES_IN_ORDER = ("experiment", "dataset", "method", "labeling", "teachers", "student", "evaluate")
_NOT_A_CHOICE = ("schema", "user", "tracker", "cluster", "sweep", "family", "method/exceptions@method")
"""Groups that do not affect results, and groups for which the choices or settings that they set are shown instead."""


@dataclass(frozen=True)
class Settings:
    """Resolved settings of one run."""

    values: Mapping[str, Any]
    """Values by dotted key."""
    choices: Mapping[str, str | None]
    """Option of each config group."""
    typed: frozenset[str]
    """Keys that were given on the command line."""


@dataclass(frozen=True)
class Variation:
    """Differences between several ``Settings``; differing values are lists with one entry per run."""

    choices: dict[str, list[str | None]]
    """Differing options, by config group."""
    settings: dict[str, list[Any]]
    """Differing settings that do not follow from a differing option."""
    following: dict[str, dict[str, list[Any]]]
    """Differing settings that follow from a differing option, by its config group."""
    without_effect: dict[str, list[Any]]
    """Differing settings that cannot affect results, such as devices, folders and trackers."""
    equal: dict[str, Any]
    """Equal settings."""
    same_choices: dict[str, str | None]
    """Equal options, by config group."""

    @property
    def any(self) -> bool:
        """True if there is a difference that can affect results."""
        return bool(self.choices or self.settings or self.following)


def settings_of(run: Run) -> Settings:
    """The settings of a run, with the numbers of teachers and subsets that it used as M and K."""
    return Settings(resolved(run.record["config"], run.subsets), run.record["choices"], typed_keys(typed_words(run)))


def typed_words(run: Run) -> list[str]:
    """The words after ``launch.py`` with which a run was started; those of the plan where its file cannot be read."""
    try:
        words = OmegaConf.load(run.folder / OVERRIDES)
    except (OSError, ValueError, RecursionError, YAMLError):
        return planned_words(run)
    return [str(word) for word in words] if isinstance(words, ListConfig) else planned_words(run)


def planned_words(run: Run) -> list[str]:
    """The words of a sweep's job, from the plan of the sweep; empty for a run."""
    return run.planned.overrides if run.planned else []


def resolved(config: Mapping[str, Any], subsets: int | None) -> dict[str, Any]:
    """``config`` by dotted key, with the number of teachers as M and ``subsets`` as K; K is left out if not known."""
    flat = flatten(config)
    if flat:
        flat |= {"M": len(flat["teachers.archs"][: flat["M"]]), "K": subsets}
        if subsets is None:
            del flat["K"]
    return flat


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; a list is one value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def typed_keys(words: Sequence[str]) -> frozenset[str]:
    """Keys of the settings that command-line words such as ``method.lr=0.1`` or ``+a.b=c`` set."""
    return frozenset(typed_values(words))


def typed_values(words: Sequence[str]) -> dict[str, str]:
    """Values in command-line words, by setting or config group."""
    parts = (word.lstrip("+~").partition("=") for word in words)
    return {key: value for key, _, value in parts}


def has_effect(key: str) -> bool:
    """True if the setting ``key`` can affect results."""
    return not any(key == free or key.startswith(f"{free}.") for free in _WITHOUT_EFFECT)


def variation(several: Sequence[Settings]) -> Variation:
    """The differences between ``several`` settings.

    A setting follows from a choice if it is in a config group whose options differ, and no run has it in its words.
    """
    choices, same_choices = _split_choices(several)
    typed = frozenset().union(*(each.typed for each in several))
    found = Variation(choices, {}, {}, {}, {}, same_choices)
    for key in dict.fromkeys(key for each in several for key in each.values):
        values = [each.values.get(key, ABSENT) for each in several]
        owner = None if key in typed else _owner(key, choices)
        known = values if "." in key else [value for value in values if value != ABSENT]  # K may not be known yet
        if all(value == known[0] for value in known):
            if len(known) == len(values):
                found.equal[key] = known[0]
        elif not has_effect(key):
            found.without_effect[key] = values
        elif owner is not None:
            found.following.setdefault(owner, {})[key] = values
        else:
            found.settings[key] = values
    return found


def _split_choices(several: Sequence[Settings]) -> tuple[dict[str, list[str | None]], dict[str, str | None]]:
    """Differing and equal options by group; ``method/settings`` is left out where ``method`` itself differs."""
    packaged = dict.fromkeys(group for each in several for group in each.choices if group not in _NOT_A_CHOICE)
    options = {
        group.split("@")[0]: [each.choices.get(group) for each in several] for group in sorted(packaged, key=_rank)
    }
    differing = {group: values for group, values in options.items() if len(set(values)) > 1}
    shown = {
        group: values for group, values in differing.items() if group.split("/")[0] not in differing.keys() - {group}
    }
    return shown, {group: values[0] for group, values in options.items() if len(set(values)) == 1}


def _rank(group: str) -> tuple[int, str]:
    """Sort key that puts groups before the groups that they set."""
    return (_CHOICES_IN_ORDER.index(group) if group in _CHOICES_IN_ORDER else len(_CHOICES_IN_ORDER), group)


def _owner(key: str, choices: Mapping[str, Any]) -> str | None:
    """The group with differing options that ``key`` belongs to; settings of ``method/settings`` are in ``method``."""
    top = key.split(".")[0]
    return next((group for group in choices if "." in key and group.split("/")[0] == top), None)
