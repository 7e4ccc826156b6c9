"""The runs that the scores of a distilled set rest on: planned as command lines, and found among the recorded ones."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from infer.commands.composition import settings_of_words
from infer.commands.launch_words import launch_words
from infer.config import Baseline, Config
from infer.data.paths import expand
from infer.errors import UsageError
from infer.records.find import last_finished, pick_run
from infer.records.names import DISTILLED, OVERRIDES, RESULT
from infer.records.runs import DONE, Run, find_runs
from infer.records.settings import ABSENT, Settings, has_effect, resolved, typed_words
from infer.records.statistics import Summary, summarise
from infer.words import hydra_quoted, launch_command, shell_line

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
    "worker",
    "cluster",
    "sweep",
    "hydra",
)
"""Words of a run that its companions are not started with; those that matter come back by ``_lost``."""
_NO_AUGMENTATION: Mapping[str, Any] = {
    "evaluate.mix": "none",
    "evaluate.crop": "padded",
    "evaluate.crop_padding": 0,
    "evaluate.flip": False,
    "evaluate.shuffle_patches": 1,
}


class Part(str, Enum):
    """A run's part in the scores."""

    any = "any"
    """The set under the labels and the protocol that it is scored with."""
    hard = "hard"
    """The set with hard labels, beside all training images."""
    plain = "plain"
    """The set as in ``any``, without augmentation."""
    random = "random"
    """Random real images in place of the set."""
    random_plain = "random_plain"
    """Random real images without augmentation."""


SOURCES: Mapping[str, tuple[Part, Baseline | None]] = {
    "real_hard": (Part.hard, Baseline.full),
    "set_hard": (Part.hard, None),
    "set_any": (Part.any, None),
    "random_any": (Part.random, None),
    "set_plain": (Part.plain, None),
    "random_plain": (Part.random_plain, None),
}
"""The run, and in it the baseline, of every field of ``infer.records.scores.Accuracies``."""


@dataclass(frozen=True)
class Subject:
    """The distilled set that is scored."""

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
    """A run that the scores need, recorded or not."""

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


def fractions_of(run: Run, baseline: Baseline | None = None) -> Summary:
    """``accuracy_of`` in [0, 1], where it was measured."""
    percent = accuracy_of(run, baseline)
    assert percent is not None, f"{run.name} was taken without its score"
    return summarise([value / 100 for value in percent["values"]])


def find_run(needed: NeededRun, beside: Run | None, runs: Sequence[Run], since: float = 0) -> Run | None:
    """The newest of ``runs`` that is ``needed`` and began after ``since``; None where there is none."""
    met = (run for run in reversed(runs) if needed.is_met_by(run, beside) and _began(run) >= since)
    return next(met, None)


def subject_of(word: str | None, settings: list[str], outputs: Path) -> Subject:
    """The set that was typed: a run by name or folder, a path with its settings, or the last finished run.

    Raises UsageError when it cannot be scored.
    """
    path = expand(word) if word else None
    if path and word and (path.exists() or word[0] in "/.~") and not (path / RESULT).is_file():
        subject = _subject_at(path, settings)
    elif settings:
        raise UsageError(
            f"{settings[0]} was given, but {word} is no folder or file of a distilled set, and a run is scored as it "
            f"was made. Leave it out, or type: infer evaluate {word} {shell_line(settings)}"
        )
    else:
        subject = _subject_of_run(pick_run(word, outputs) if word else _last_run(outputs))
    values = subject.settings.values
    if values.get("labeling.path") is not None or values.get("labeling.source") == "set":
        here = launch_command([word for word in subject.words if not _is_among(_key(word), ["labeling"])])
        raise UsageError(
            f"the students of {subject.name} learn labels that were made elsewhere, and random images have none of "
            f"these. Have it labelled here, and score that run: {here}"
        )
    return subject


def plan(subject: Subject) -> dict[Part, NeededRun]:
    """The runs of the set itself."""
    is_hard = subject.settings.values["labeling.mode"] == "hard"
    return {
        Part.any: _planned(subject),
        Part.hard: _planned(subject, {} if is_hard else {"labeling": "hard"}, baselines=(Baseline.full,)),
        Part.plain: _planned(subject, _without_augmentation(subject)),
    }


def plan_random(subject: Subject, run: Run, per_class: int) -> dict[Part, NeededRun]:
    """The runs of ``per_class`` random images of each class, beside ``run``, which is that of the set.

    Students make as many updates as those of the set, with batches of the same size.
    """
    values = subject.settings.values
    changes = {"method": "random", "ipc": str(per_class)}
    if values.get("K") is not None:
        changes["K"] = "null"
    if values["evaluate.batch_size"] is None and per_class != values["ipc"]:
        changes["evaluate.batch_size"] = str(_planned(subject).config.protocol_for().batch_size)
    sizes = run.manifest["sizes"]
    if values["evaluate.steps"] is None and sizes["N"] != per_class * sizes["C"]:
        changes["sweep.student_steps"] = str(run.record["environment"]["student_steps"])
    return {
        Part.random: _planned(subject, changes, holds_set=False),
        Part.random_plain: _planned(subject, changes | _without_augmentation(subject), holds_set=False),
    }


def last_change(path: Path) -> float:
    """Time of the last change of a file or folder, or of anything in it: its content, its name or its place."""
    stats = [each.stat() for each in (path, *path.rglob("*"))]
    return max(max(stat.st_mtime, stat.st_ctime) for stat in stats)


def _last_run(outputs: Path) -> Run:
    """The last finished run; one that was made for a score, without random baselines, only if there is no other."""
    made_for_scores: tuple[list[str], ...] = ([], [Baseline.full.value])
    finished = (run for run in reversed(find_runs(outputs)) if run.state == DONE)
    compared = (run for run in finished if run.setting("baselines") not in made_for_scores)
    return next(compared, None) or last_finished(outputs, 1)[0]


def _subject_at(path: Path, settings: list[str]) -> Subject:
    words = _repeated(launch_words(path, settings, "infer score"))
    composed, _ = settings_of_words(words)
    return Subject(str(path), words, composed, path=path)


def _subject_of_run(run: Run) -> Subject:
    words = _repeated(typed_words(run))
    again = f"Start it again: {launch_command(words)}"
    if run.state != DONE:
        raise UsageError(f"{run.name} is {run.state}, and only finished runs are scored. {again}")
    if accuracy_of(run) is None:
        raise UsageError(f"{run.name} has trained no students (stages=[{','.join(run.setting('stages'))}]). {again}")
    if not run.manifest:
        raise UsageError(f"{run.folder / DISTILLED} is gone, by which runs of the same set are found. {again}")
    return Subject(run.name, words, _settings_of(run), run=run)


def _settings_of(run: Run) -> Settings:
    """The run's settings as they were given: K is left out unless somebody gave it."""
    return Settings(resolved(run.record["config"], run.setting("K")), run.record["choices"], frozenset())


def _began(run: Run) -> float:
    words = run.folder / OVERRIDES
    return words.stat().st_mtime if words.is_file() else 0


def _without_augmentation(subject: Subject) -> dict[str, str]:
    values = subject.settings.values
    return {key: _typed(none) for key, none in _NO_AUGMENTATION.items() if values[key] != none}


def _planned(
    subject: Subject,
    changes: Mapping[str, str] | None = None,
    baselines: tuple[Baseline, ...] = (),
    holds_set: bool = True,
    kept: Mapping[str, str] | None = None,
) -> NeededRun:
    """The run of the subject's words with ``changes``; all other settings are the subject's, if need be by ``kept``."""
    changes, kept = changes or {}, kept or {}
    words = [word for word in subject.words if not _is_among(_key(word), {*changes, *kept})]
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
    return _planned(subject, changes, baselines, holds_set, {**kept, **lost})


def _lost(subject: Subject, settings: Settings, changes: Mapping[str, str], config: Config) -> dict[str, str]:
    """Words for what the subject has and ``settings`` have not, apart from ``changes``: values that a sweep brought, or
    a protocol that followed from the labels."""
    differing = _differing(subject.settings.values, settings.values, config)
    keys = [key for key in differing if not _is_among(key, changes)]
    protocol = subject.settings.choices.get("evaluate")
    if any(key.startswith("evaluate.") for key in keys) and settings.choices.get("evaluate") != protocol:
        return {"evaluate": str(protocol)}
    return {key: _typed(subject.settings.values.get(key)) for key in keys}


def _differing(recorded: Mapping[str, Any], planned: Mapping[str, Any], config: Config) -> list[str]:
    """Settings that differ and decide on how students are trained; ``planned`` are those of ``config``.

    One that came to the program after the record was written counts as recorded with its default.
    """
    keys = (key for key in dict.fromkeys([*recorded, *planned]) if has_effect(key) and key not in _NOT_COMPARED)
    return [
        key
        for key in keys
        if key not in planned or planned[key] != (recorded[key] if key in recorded else _default(key, config))
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


def _repeated(words: Sequence[str]) -> list[str]:
    return [word for word in words if not _is_among(_key(word), _NOT_REPEATED)]


def _is_among(key: str, groups: Collection[str]) -> bool:
    """True if ``key`` is one of ``groups``, or a setting in one."""
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _typed(value: Any) -> str:
    """``value`` as Hydra reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    return hydra_quoted(value) if isinstance(value, str) else json.dumps(value)
