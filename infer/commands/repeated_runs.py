"""Repetitions of a run: command lines that give its recorded settings, changed or not, and runs that meet them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from infer.commands.composition import settings_of_words
from infer.config import Baseline, Config
from infer.errors import UsageError
from infer.records.names import DISTILLED, OVERRIDES
from infer.records.run import DONE, Run
from infer.records.settings import ABSENT, Settings, has_effect, resolved, typed_words
from infer.records.statistics import Summary
from infer.words import hydra_quoted, launch_command

_NOT_COMPARED = (
    "stages",
    "baselines",
    "baseline_budgets",
    "sweep.equal_steps",
    "evaluate.protocol",
    "evaluate.published_with",
)
"""Settings that say what a run does or is called, and not how its students are trained."""
_NOT_REPEATED = (
    "outputs",
    "force",
    "stages",
    "baselines",
    "baseline_budgets",
    "analyses",
    "processes",
    "worker",
    "cluster",
    "sweep",
    "hydra",
)
"""Words of a run that its companions are not started with; those that matter come back by ``_lost``."""


@dataclass(frozen=True)
class Subject:
    """The distilled set whose run is repeated."""

    name: str
    """Name as a person types it: a run's, or a path."""
    words: list[str]
    """Words after ``launch.py``, without those that do not concern how its students are trained."""
    settings: Settings
    run: Run | None = None
    """The run that was named; None for a set, whose run is yet to be found."""
    path: Path | None = None
    """The set, where no run was named."""


@dataclass(frozen=True)
class NeededRun:
    """A run that is needed, recorded or not."""

    words: list[str]
    settings: Settings
    config: Config
    holds_set: bool = True
    """False for random images."""
    baselines: tuple[Baseline, ...] = ()

    @property
    def command_words(self) -> list[str]:
        """The words that start it."""
        return [*self.words, f"baselines=[{','.join(each.value for each in self.baselines)}]"]

    def is_met_by(self, run: Run, beside: Run | None) -> bool:
        """True if ``run`` is finished and is what is needed, measured on the same ground as the run ``beside``."""
        return (
            run.state == DONE
            and accuracy_of(run) is not None
            and all(accuracy_of(run, baseline) is not None for baseline in self.baselines)
            and not _differing(_settings_of(run).values, self.settings.values, self.config)
            and (beside is None or self._is_alike(run, beside))
        )

    def _is_alike(self, run: Run, beside: Run) -> bool:
        """True if data, teachers, set, precision and updates, which settings do not determine alone, are the same."""
        here, there = run.record["environment"], beside.record["environment"]
        fact = "precision" if "precision" in here and "precision" in there else "device"  # older records lack it
        return (
            run.fingerprint == beside.fingerprint
            and here.get(fact) == there.get(fact)
            and here["student_steps"] == there["student_steps"]
            and set(run.signatures.get("squeeze", ())) <= set(beside.signatures.get("squeeze", ()))
            and (not self.holds_set or run.manifest.get("signature") == beside.manifest.get("signature"))
        )


def accuracy_of(run: Run, baseline: Baseline | None = None) -> Summary | None:
    """Top-1 in percent of the leading student, of the run's set or of a baseline of it; None if not measured."""
    key = f"{run.split}/top1"
    if baseline is None:
        return run.score(key)
    metrics: dict[str, Summary] = run.record["baselines"].get(baseline.value, {}).get("metrics", {})
    return metrics.get(key)


def find_run(needed: NeededRun, beside: Run | None, runs: Sequence[Run], since: float = 0) -> Run | None:
    """The newest of ``runs`` that is ``needed`` and began after ``since``; None where there is none."""
    met = (run for run in reversed(runs) if needed.is_met_by(run, beside) and _began(run) >= since)
    return next(met, None)


def subject_of_run(run: Run) -> Subject:
    """The distilled set of ``run``; raises UsageError unless the run is finished and has a score and its set."""
    words = repeated_words(typed_words(run))
    again = f"Start it again: {launch_command(words)}"
    if run.state != DONE:
        raise UsageError(f"{run.name} is {run.state}, and only finished runs are repeated or scored. {again}")
    if accuracy_of(run) is None:
        raise UsageError(f"{run.name} has trained no students (stages=[{','.join(run.setting('stages'))}]). {again}")
    if not run.manifest:
        raise UsageError(f"{run.folder / DISTILLED} is gone, by which runs of the same set are found. {again}")
    return Subject(run.name, words, _settings_of(run), run=run)


def planned(
    subject: Subject,
    changes: Mapping[str, str] | None = None,
    baselines: tuple[Baseline, ...] = (),
    holds_set: bool = True,
    kept: Mapping[str, str] | None = None,
) -> NeededRun:
    """The run of the subject's words with ``changes``; all other settings are the subject's, if need be by ``kept``."""
    changes, kept = changes or {}, kept or {}
    words = [word for word in subject.words if not is_among(key_of(word), {*changes, *kept})]
    words += [f"{key}={value}" for key, value in {**changes, **kept}.items()]
    settings, config = settings_of_words(words)
    lost = _lost(subject, settings, changes, config)
    if not lost:
        return NeededRun(words, settings, config, holds_set, baselines)
    if lost.keys() <= kept.keys() or not lost.keys() <= {"evaluate", "K", *settings.values}:
        raise UsageError(
            f"{subject.name} cannot be repeated: {', '.join(lost)} would differ, since this program or its presets "
            f"changed. Start it again: {launch_command(subject.words)}"
        )
    return planned(subject, changes, baselines, holds_set, {**kept, **lost})


def repetition_of(run: Run) -> NeededRun:
    """The run that makes ``run`` again; raises UsageError where its settings cannot be had any more."""
    return planned(subject_of_run(run))


def _settings_of(run: Run) -> Settings:
    """The run's settings as they were given: K is left out unless somebody gave it."""
    return Settings(resolved(run.record["config"], run.setting("K")), run.record["choices"], frozenset())


def _began(run: Run) -> float:
    words = run.folder / OVERRIDES
    return words.stat().st_mtime if words.is_file() else 0


def _lost(subject: Subject, settings: Settings, changes: Mapping[str, str], config: Config) -> dict[str, str]:
    """Words for what the subject has and ``settings`` have not, apart from ``changes``: values that a sweep brought, or
    a protocol that followed from the labels."""
    differing = _differing(subject.settings.values, settings.values, config)
    keys = [key for key in differing if not is_among(key, changes)]
    protocol = subject.settings.choices.get("evaluate")
    if any(key.startswith("evaluate.") for key in keys) and settings.choices.get("evaluate") != protocol:
        return {"evaluate": str(protocol)}
    return {key: typed(subject.settings.values.get(key)) for key in keys}


def _differing(recorded: Mapping[str, Any], composed: Mapping[str, Any], config: Config) -> list[str]:
    """Settings that differ and decide on how students are trained; ``composed`` are those of ``config``.

    One that came to the program after the record was written counts as recorded with its default.
    """
    keys = (key for key in dict.fromkeys([*recorded, *composed]) if has_effect(key) and key not in _NOT_COMPARED)
    return [
        key
        for key in keys
        if key not in composed or composed[key] != (recorded[key] if key in recorded else _default(key, config))
    ]


def _default(key: str, config: Config) -> Any:
    """The default of the setting ``key`` in the dataclass that ``config`` has for its group, as records hold it.

    ``ABSENT`` for an entry of a dictionary, which no dataclass knows.
    """
    group, _, name = key.rpartition(".")
    schema = type(getattr(config, group, None)) if group else Config
    if not is_dataclass(schema):
        return ABSENT
    field = schema.__dataclass_fields__[name]
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return default.value if isinstance(default, Enum) else default


def repeated_words(words: Sequence[str]) -> list[str]:
    """The ``words`` of a run that its repetition is started with."""
    return [word for word in words if not is_among(key_of(word), _NOT_REPEATED)]


def is_among(key: str, groups: Collection[str]) -> bool:
    """True if ``key`` is one of ``groups``, or a setting in one."""
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def key_of(word: str) -> str:
    """The setting or group that ``word`` is for."""
    return word.lstrip("+~").partition("=")[0]


def typed(value: Any) -> str:
    """``value`` as Hydra reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    return hydra_quoted(value) if isinstance(value, str) else json.dumps(value)
