"""The runs from which the scores of a distilled set are computed: planned as command lines, and searched in records."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from infer.commands.composition import settings_of_words
from infer.commands.launch_words import launch_words
from infer.commands.repeated_runs import (
    NeededRun,
    Subject,
    accuracy_of,
    is_among,
    key_of,
    planned,
    repeated_words,
    subject_of_run,
    typed,
)
from infer.config import Baseline
from infer.data.paths import expand
from infer.errors import UsageError
from infer.records.find import last_finished, pick_run
from infer.records.folders import find_runs
from infer.records.names import RESULT
from infer.records.run import DONE, Run
from infer.records.statistics import Summary, summarise
from infer.words import launch_command, shell_line

_NO_AUGMENTATION: Mapping[str, Any] = {
    "evaluate.mix": "none",
    "evaluate.crop": "padded",
    "evaluate.crop_padding": 0,
    "evaluate.flip": False,
    "evaluate.shuffle_patches": 1,
}


class Part(str, Enum):
    """Role of a run in the scores."""

    any = "any"
    """The set with the labels and the protocol for which it is scored."""
    hard = "hard"
    """The set with hard labels, and all training images as a baseline."""
    plain = "plain"
    """The set as in ``any``, but without augmentation."""
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
"""Run and baseline in it (None for the set itself) for every field of ``infer.records.scores.Accuracies``."""


def fractions_of(run: Run, baseline: Baseline | None = None) -> Summary:
    """``accuracy_of`` as fractions in [0, 1]; it must have been measured."""
    percent = accuracy_of(run, baseline)
    assert percent is not None, f"{run.name} was taken without its score"
    return summarise([value / 100 for value in percent["values"]])


def subject_of(word: str | None, settings: list[str], outputs: Path) -> Subject:
    """The set that ``word`` names: that of a run, or one at a path with ``settings``; without it the last finished run.

    Raises UsageError where it cannot be scored.
    """
    path = None if word is None else expand(word)
    if path and word and (path.exists() or word[0] in "/.~") and not (path / RESULT).is_file():
        subject = _subject_at(path, settings)
    elif settings:
        raise UsageError(
            f"{settings[0]} was given, but {word} is not the folder or file of a distilled set, and a run is scored as "
            f"it was made. Leave it out, or type: infer evaluate {word} {shell_line(settings)}"
        )
    else:
        subject = subject_of_run(pick_run(word, outputs) if word else _last_run(outputs))
    values = subject.settings.values
    if values.get("labeling.path") is not None or values.get("labeling.source") == "set":
        here = launch_command([word for word in subject.words if not is_among(key_of(word), ["labeling"])])
        raise UsageError(
            f"the students of {subject.name} learn labels that were made elsewhere, and there are none for random "
            f"images. Label the set here, and score that run: {here}"
        )
    return subject


def plan(subject: Subject) -> dict[Part, NeededRun]:
    """The runs with the set itself."""
    is_hard = subject.settings.values["labeling.mode"] == "hard"
    return {
        Part.any: planned(subject),
        Part.hard: planned(subject, {} if is_hard else {"labeling": "hard"}, baselines=(Baseline.full,)),
        Part.plain: planned(subject, _without_augmentation(subject)),
    }


def plan_random(subject: Subject, run: Run, per_class: int) -> dict[Part, NeededRun]:
    """The runs with ``per_class`` random images of each class, to be compared with ``run``, that of the set.

    Their students make the same number of updates as those of the set, with batches of the same size.
    """
    values = subject.settings.values
    changes = {"method": "random", "ipc": str(per_class)}
    if values.get("K") is not None:
        changes["K"] = "null"
    if values["evaluate.batch_size"] is None and per_class != values["ipc"]:
        changes["evaluate.batch_size"] = str(planned(subject).config.protocol_for().batch_size)
    sizes = run.manifest["sizes"]
    if values["evaluate.steps"] is None and sizes["N"] != per_class * sizes["C"]:
        changes["sweep.student_steps"] = str(run.record["environment"]["student_steps"])
    return {
        Part.random: planned(subject, changes, holds_set=False),
        Part.random_plain: planned(subject, changes | _without_augmentation(subject), holds_set=False),
    }


def last_change(path: Path) -> float:
    """Time of the last change of a file, or of a folder and everything in it; moves and new names count as changes."""
    stats = [each.stat() for each in (path, *path.rglob("*"))]
    return max(max(stat.st_mtime, stat.st_ctime) for stat in stats)


def _last_run(outputs: Path) -> Run:
    """The last finished run. Runs for scores, which have no random baselines, are used only if there is no other."""
    made_for_scores: tuple[list[str], ...] = ([], [Baseline.full.value])
    finished = (run for run in reversed(find_runs(outputs)) if run.state == DONE)
    compared = (run for run in finished if run.setting("baselines") not in made_for_scores)
    return next(compared, None) or last_finished(outputs, 1)[0]


def _subject_at(path: Path, settings: list[str]) -> Subject:
    words = repeated_words(launch_words(path, settings, "infer score"))
    composed, _ = settings_of_words(words)
    return Subject(str(path), words, composed, path=path)


def _without_augmentation(subject: Subject) -> dict[str, str]:
    values = subject.settings.values
    return {key: typed(none) for key, none in _NO_AUGMENTATION.items() if values[key] != none}
