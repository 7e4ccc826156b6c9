"""Differences between two runs: settings, inputs, code, environment, and scores compared with their noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infer.errors import UsageError
from infer.records.machines import computed_with
from infer.records.names import MANIFEST
from infer.records.noise import Welch, welch
from infer.records.run import UNREADABLE, Run
from infer.records.settings import Settings, Variation, flatten, settings_of, variation
from infer.records.statistics import Summary

_CODE = ("git_commit", "versions")
_COST = ("total_bytes", "ipc_charged", "compression_ratio")


@dataclass(frozen=True)
class Score:
    """One metric of two runs; None for a run that did not measure it."""

    a: Summary | None
    b: Summary | None

    @property
    def difference(self) -> float | None:
        """B - A, in percentage points."""
        return None if self.a is None or self.b is None else self.b["mean"] - self.a["mean"]

    @property
    def test(self) -> Welch | None:
        """Welch's t-test of the difference; None where there is no spread."""
        return None if self.a is None or self.b is None else welch(self.a, self.b)

    @property
    def larger_than_noise(self) -> bool | None:
        """True if the difference is larger than noise; None where it cannot be tested."""
        return None if self.test is None else self.test.is_larger_than_noise

    @property
    def equal(self) -> bool:
        """True if both are exactly equal."""
        return self.a == self.b


@dataclass(frozen=True)
class Comparison:
    """Everything that ``infer diff`` reports about two runs, or about two settings that were not run."""

    unlike: dict[str, tuple[Any, Any]]
    """Differing facts that make the numbers incomparable: protocol, data set, test split."""
    settings: Variation
    inputs: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    """Signatures by stage, where they differ."""
    environment: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    cost: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """True if settings, inputs and scores are equal; the code and the machine may differ."""
        scores_differ = any(not score.equal for score in self.scores.values())
        return not (self.settings.any or self.inputs or scores_differ)


def compare(a: Run, b: Run) -> Comparison:
    """Compare two runs by their records. Raises UsageError where one cannot be read."""
    for run in (a, b):
        if run.state == UNREADABLE:
            raise UsageError(f"{run.folder}: {run.record['error']}")
    unlike = _pairs(a.basis, b.basis)
    contents = _contents(a), _contents(b)
    if all(contents) and _differing(unlike).keys() <= {"PROTOCOL"}:
        unlike["CONTENTS OF THE DATA SET"] = contents
    return Comparison(
        unlike=_differing(unlike),
        settings=variation([settings_of(a), settings_of(b)]),
        inputs=_inputs(a, b),
        environment=_differing(_pairs(_environment(a), _environment(b))),
        scores=_scores(a, b),
        cost=_differing(_pairs(_cost(a), _cost(b))),
    )


def _contents(run: Run) -> str | None:
    """Shortened fingerprint of the run's data set, as its name; None while it is not known."""
    if run.has_damaged_manifest:
        return f"unknown for {run.name}: its {MANIFEST} is damaged"
    return run.fingerprint and run.fingerprint[:8]


def compare_settings(a: Settings, b: Settings, protocols: tuple[str, str]) -> Comparison:
    """Compare settings that were not run; ``protocols`` are the names of the protocols of their numbers."""
    unlike = {
        "PROTOCOL": protocols,
        "DATA SET": (a.values["dataset.name"], b.values["dataset.name"]),
        "TEST SPLIT": (a.values["evaluate.split"], b.values["evaluate.split"]),
    }
    return Comparison(unlike=_differing(unlike), settings=variation([a, b]))


def _differing(pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b])}


def _inputs(a: Run, b: Run) -> dict[str, tuple[set[str], set[str]]]:
    stages = dict.fromkeys([*a.signatures, *b.signatures])
    both = {stage: (set(a.signatures.get(stage, [])), set(b.signatures.get(stage, []))) for stage in stages}
    return {stage: pair for stage, pair in both.items() if pair[0] != pair[1]}


def _environment(run: Run) -> dict[str, Any]:
    code = {key: value for key, value in run.record["environment"].items() if key in _CODE}
    return flatten(code) | computed_with(run)


def _cost(run: Run) -> dict[str, Any]:
    storage, environment = run.record["storage"], run.record["environment"]
    return {"student_steps": environment.get("student_steps")} | {key: storage.get(key) for key in _COST}


def _scores(a: Run, b: Run) -> dict[str, Score]:
    """Scores of the leading student, then of the other students, the baselines and the teachers."""
    return {key: Score(*pair) for key, pair in _pairs(_all_scores(a), _all_scores(b)).items()}


def _all_scores(run: Run) -> dict[str, Summary]:
    teachers = {key: value for key, value in run.record["metrics"].items() if key.startswith("teacher/")}
    scores = {key: value for key, value in run.record["metrics"].items() if key not in teachers}
    for arch, metrics in list(run.record["per_student"].items())[1:]:
        scores |= {f"{arch}: {key}": value for key, value in metrics.items()}
    for name, outcome in run.record["baselines"].items():
        scores |= {f"{name}: {key}": value for key, value in outcome.get("metrics", {}).items()}
    return scores | teachers
