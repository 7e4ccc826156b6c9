"""Repetitions of a run: command lines with its recorded settings, possibly changed, and recorded runs with these
settings."""

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
"""Settings that concern the stages, comparisons and names of a run and not the training of its students."""
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
"""Settings whose words are left out of the command lines of repetitions; ``_lost`` adds those that matter."""


@dataclass(frozen=True)
class Subject:
    """Distilled set whose run is repeated."""

    name: str
    """Name as the user types it: that of a run, or a path."""
    words: list[str]
    """Words after ``launch.py``, without those that do not concern the training of students."""
    settings: Settings
    run: Run | None = None
    """The run that was named; None where a set was given, whose run has to be found."""
    path: Path | None = None
    """The path of the set, where no run was named."""


@dataclass(frozen=True)
class NeededRun:
    """Description of a run that is needed, which may have been made already."""

    words: list[str]
    settings: Settings
    config: Config
    holds_set: bool = True
    """False for random images."""
    baselines: tuple[Baseline, ...] = ()

    @property
    def command_words(self) -> list[str]:
        """The words after ``launch.py`` that start the run."""
        return [*self.words, f"baselines=[{','.join(each.value for each in self.baselines)}]"]

    def is_met_by(self, run: Run, beside: Run | None) -> bool:
        """True if ``run`` is finished, fits this description, and was made under the same conditions as ``beside``."""
        return (
            run.state == DONE
            and accuracy_of(run) is not None
            and all(accuracy_of(run, baseline) is not None for baseline in self.baselines)
            and not _differing(_settings_of(run).values, self.settings.values, self.config)
            and (beside is None or self._is_alike(run, beside))
        )

    def _is_alike(self, run: Run, beside: Run) -> bool:
        """True if data, teachers, set, precision and updates are the same, which settings alone do not determine."""
        here, there = run.record["environment"], beside.record["environment"]
        fact = "precision" if "precision" in here and "precision" in there else "device"  # not in older records
        return (
            run.fingerprint == beside.fingerprint
            and here.get(fact) == there.get(fact)
            and here["student_steps"] == there["student_steps"]
            and set(run.signatures.get("squeeze", ())) <= set(beside.signatures.get("squeeze", ()))
            and (not self.holds_set or run.manifest.get("signature") == beside.manifest.get("signature"))
        )


def accuracy_of(run: Run, baseline: Baseline | None = None) -> Summary | None:
    """Top-1 of the leading student in percent, on the run's set or a baseline; None where it was not measured."""
    key = f"{run.split}/top1"
    if baseline is None:
        return run.score(key)
    metrics: dict[str, Summary] = run.record["baselines"].get(baseline.value, {}).get("metrics", {})
    return metrics.get(key)


def find_run(needed: NeededRun, beside: Run | None, runs: Sequence[Run], since: float = 0) -> Run | None:
    """The newest of ``runs`` that fits ``needed`` and started after ``since``; None where there is none."""
    met = (run for run in reversed(runs) if needed.is_met_by(run, beside) and _began(run) >= since)
    return next(met, None)


def subject_of_run(run: Run) -> Subject:
    """The distilled set of ``run``. Raises UsageError unless the run is finished and has a score and its set."""
    words = repeated_words(typed_words(run))
    again = f"Start it again: {launch_command(words)}"
    if run.state != DONE:
        raise UsageError(f"{run.name} is {run.state}, and only finished runs are repeated or scored. {again}")
    if accuracy_of(run) is None:
        raise UsageError(f"{run.name} has trained no students (stages=[{','.join(run.setting('stages'))}]). {again}")
    if not run.manifest:
        raise UsageError(f"{run.folder / DISTILLED} is gone, and it is needed to find runs of the same set. {again}")
    return Subject(run.name, words, _settings_of(run), run=run)


def planned(
    subject: Subject,
    changes: Mapping[str, str] | None = None,
    baselines: tuple[Baseline, ...] = (),
    holds_set: bool = True,
    kept: Mapping[str, str] | None = None,
) -> NeededRun:
    """The run of the subject's words with ``changes``, and with its recorded values of all other settings.

    ``kept`` are recorded settings that the words alone do not give. Raises UsageError where a recorded value cannot be
    set any more.
    """
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
    """The run that makes ``run`` again. Raises UsageError where its settings cannot be reproduced any more."""
    return planned(subject_of_run(run))


def _settings_of(run: Run) -> Settings:
    """The run's settings as they were given; K is left out unless it was given."""
    return Settings(resolved(run.record["config"], run.setting("K")), run.record["choices"], frozenset())


def _began(run: Run) -> float:
    words = run.folder / OVERRIDES
    return words.stat().st_mtime if words.is_file() else 0


def _lost(subject: Subject, settings: Settings, changes: Mapping[str, str], config: Config) -> dict[str, str]:
    """Settings of the subject, by key, that ``settings`` lack or have another value of, except those in ``changes``.

    They come from a sweep, or from a protocol that depends on the labels.
    """
    differing = _differing(subject.settings.values, settings.values, config)
    keys = [key for key in differing if not is_among(key, changes)]
    protocol = subject.settings.choices.get("evaluate")
    if any(key.startswith("evaluate.") for key in keys) and settings.choices.get("evaluate") != protocol:
        return {"evaluate": str(protocol)}
    return {key: typed(subject.settings.values.get(key)) for key in keys}


def _differing(recorded: Mapping[str, Any], composed: Mapping[str, Any], config: Config) -> list[str]:
    """Settings that differ and that the training of students depends on; ``composed`` are those of ``config``.

    A setting that is newer than the record counts as recorded with its default value.
    """
    keys = (key for key in dict.fromkeys([*recorded, *composed]) if has_effect(key) and key not in _NOT_COMPARED)
    return [
        key
        for key in keys
        if key not in composed or composed[key] != (recorded[key] if key in recorded else _default(key, config))
    ]


def _default(key: str, config: Config) -> Any:
    """The default of the setting ``key`` in the dataclass of its group in ``config``, in the form used in records.

    ``ABSENT`` for an entry of a dictionary, which has no dataclass.
    """
    group, _, name = key.rpartition(".")
    schema = type(getattr(config, group, None)) if group else Config
    if not is_dataclass(schema):
        return ABSENT
    field = schema.__dataclass_fields__[name]
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return default.value if isinstance(default, Enum) else default


def repeated_words(words: Sequence[str]) -> list[str]:
    """The subset of the ``words`` of a run with which its repetition is started."""
    return [word for word in words if not is_among(key_of(word), _NOT_REPEATED)]


def is_among(key: str, groups: Collection[str]) -> bool:
    """True if ``key`` is one of ``groups``, or a setting in one."""
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def key_of(word: str) -> str:
    """The setting or group that ``word`` sets."""
    return word.lstrip("+~").partition("=")[0]


def typed(value: Any) -> str:
    """``value`` in the notation that Hydra reads."""
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    return hydra_quoted(value) if isinstance(value, str) else json.dumps(value)
