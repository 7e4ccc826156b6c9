"""Conversion of finished runs to results in the format that comes with the package."""

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infer.config.presets import VARIANT
from infer.errors import UsageError
from infer.records.artefacts import stored_artefacts
from infer.records.measurements import Measurement, measurements_of
from infer.records.names import RESULT
from infer.records.results import Result
from infer.records.rows import side_by_side
from infer.records.run import Run
from infer.records.settings import has_effect, typed_values, typed_words
from infer.tables import count, shown

_FULL = "full"
_COLUMNS_OF_THEIR_OWN = ("method", "labeling", "student", "evaluate", "student.archs")


def results_of(
    runs: Sequence[Run], outputs: Path, table: str, name: str | None, published: str, source: str
) -> list[Result]:
    """A result for each distilled set of ``runs`` and each of their baselines; runs that differ only in ``seed`` are
    combined.

    ``name`` is the name of the distilled sets, by default that of the method with the settings that vary; ``published``
    and ``source`` also apply to the distilled sets only. Raises UsageError where no run is finished and has a student.
    """
    measurements = measurements_of(side_by_side(runs))
    if not measurements:
        states = ", ".join(f"{run.name} is {run.state}" for run in runs)
        raise UsageError(f"{states}, so there is no result to keep yet. Start it again")
    found = []
    for measurement in measurements:
        try:
            found += _results_of(measurement, outputs, table, name, {"published": published, "source": source})
        except (KeyError, TypeError, ValueError) as error:  # a record of an earlier version, or written by hand
            told = f"the record of {measurement.runs[0].name} does not hold all that a row needs"
            raise UsageError(f"{told} ({type(error).__name__}: {error}). Make the run again") from error
    if not found:
        names = ", ".join(measurement.runs[0].name for measurement in measurements)
        raise UsageError(f"no student of {names} was tested, so there is no result to keep. Run the stage evaluate")
    return found


def _results_of(
    measurement: Measurement, outputs: Path, table: str, name: str | None, published: Mapping[str, str]
) -> list[Result]:
    """Results of the set of ``measurement``, to which ``published`` belongs, and of its baselines."""
    first = measurement.runs[0]
    method = str(first.setting("method.name"))
    own = {"name": name or _name(method, measurement), **published}
    found = []
    for each in (method, *first.record["baselines"]):
        outcomes = [run.record if each == method else run.record["baselines"][each] for run in measurement.runs]
        about = own if each == method else {}
        for arch in first.record["per_student"]:
            found.append(_result(measurement.runs, outputs, each, outcomes, arch, table, about))
    return found


def _name(method: str, measurement: Measurement) -> str:
    """The method, with the typed settings that vary between measurements, except those of labels and students."""
    values, typed = measurement.values, typed_values(typed_words(measurement.runs[0]))
    method = values.get("method", method)  # the option, which may be a variant of the method
    varying = {key: value for key, value in values.items() if key in typed and key not in _COLUMNS_OF_THEIR_OWN}
    return ", ".join([method, *(str(v) if key == VARIANT else f"{key}={shown(v)}" for key, v in varying.items())])


def _result(
    runs: Sequence[Run],
    outputs: Path,
    name: str,
    outcomes: Sequence[Mapping[str, Any]],
    arch: str,
    table: str,
    own: Mapping[str, str],
) -> Result:
    first, outcome = runs[0], outcomes[0]
    facts, size = first.record["environment"], first.record["sets"][name]
    scores, best = _values(outcomes, arch, "last"), _values(outcomes, arch, "best")
    ended = datetime.fromtimestamp((first.folder / RESULT).stat().st_mtime, UTC)
    return Result(
        table=table,
        name=own.get("name", name),
        set=str(size["size"]),
        labels=_labels(first, name),
        protocol=str(outcome.get("protocol") or first.protocol or ""),
        student=arch,
        n=str(len(scores)),
        sets=str(len(runs)),
        mean=f"{statistics.fmean(scores):.2f}",
        std=_spread(scores),
        best=f"{statistics.fmean(best):.2f}" + (f" ± {_spread(best)}" if len(best) > 1 else ""),
        images=str(size["images"]),
        updates=str(outcome.get("student_steps") or facts["student_steps"]),
        bytes=str(int(outcome["storage"]["total_bytes"])),
        teachers=_teachers(first),
        published=own.get("published", ""),
        source=own.get("source", ""),
        minutes=f"{_seconds(runs, outputs, name, arch) / 60:.1f}",
        hardware=f"{facts['device']['name']}, {count(range(facts['threads']), 'thread')}",
        date=ended.date().isoformat(),
        experiment=_words(first),
        commit=str(facts["git_commit"] or "")[:8],
    )


def _values(outcomes: Sequence[Mapping[str, Any]], arch: str, epoch: str) -> list[float]:
    """Test top-1 of every student at its ``last`` or ``best`` tested epoch, or the reported one if not recorded."""
    metrics = [outcome["per_student"][arch] for outcome in outcomes]
    measure = f"test/top1_{epoch}_epoch"
    return [value for each in metrics for value in each.get(measure, each["test/top1"])["values"]]


def _labels(run: Run, name: str) -> str:
    if name == _FULL:
        return "hard"
    mode: str = run.setting("labeling.mode")
    return name.partition("@")[0].removeprefix("random_") if name in run.record["baselines"] else mode


def _teachers(run: Run) -> str:
    scores = {
        key.split("/")[1]: run.record["metrics"][key]["mean"] for key in run.record["metrics"] if "teacher/" in key
    }
    return ", ".join(f"{arch} {top1:.1f}" for arch, top1 in scores.items())


def _seconds(runs: Sequence[Run], outputs: Path, name: str, arch: str) -> float:
    """Seconds that the students and, for a method, its images and labels took, whichever run made them."""
    total = 0.0
    for run in runs:
        wanted = list(run.record["sets"][name]["students"][arch])
        if name not in run.record["baselines"]:
            wanted += [s for stage in ("generate", "relabel") for s in run.signatures.get(stage, [])]
        total += sum(artefact.record["seconds"] for artefact in stored_artefacts(outputs, wanted).values())
    return total


def _words(run: Run) -> str:
    """The typed words that can affect results, so without folders and devices."""
    return " ".join(f"{key}={value}" for key, value in typed_values(typed_words(run)).items() if has_effect(key))


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.stdev(values):.2f}" if len(values) > 1 else ""
