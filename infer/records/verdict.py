"""Outcome of a run in sentences: its distilled set compared with each baseline, and whether differences are noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infer.records.noise import judgement, welch
from infer.records.run import Run
from infer.records.statistics import Summary
from infer.tables import summary_as_text

_TITLES = {"infer": "INFER", "sre2l": "SRe2L", "cda": "CDA", "dwa": "DWA", "rded": "RDED", "kcenter": "k-center"}
_BUDGETS = {"ipc": ", the same nominal ipc", "images": ", the same number of images"}
"""Text by the name of a budget other than bytes, which is the part after ``@`` as in ``random_static@ipc``."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of a run as text."""

    subject: str
    """The distilled set, its bytes and its score."""
    beside: Sequence[str]
    """Each baseline, its bytes, its score, and the difference."""

    @property
    def sentence(self) -> str:
        """Sentence on the distilled set and the first baseline."""
        return "; ".join([self.subject, *self.beside[:1]]) + "."


def verdict(run: Run) -> Verdict | None:
    """The leading score of ``run`` compared with those of its baselines; None where it has none yet."""
    measure = f"{run.split}/top1"
    own = run.score(measure)
    if own is None:
        return None
    labels = run.setting("labeling.mode")
    subject = f"{_method(run)} with {labels} labels, {_bytes(run.record['storage'])}: {summary_as_text(own)} %"
    return Verdict(
        subject,
        [
            f"{_baseline(name, outcome, labels)}: {_beside(own, outcome['metrics'][measure], _method(run))}"
            for name, outcome in run.record["baselines"].items()
            if measure in outcome.get("metrics", {})
        ],
    )


def method_title(method: str) -> str:
    """Name of a method as in papers."""
    return _TITLES.get(method, method)


def _method(run: Run) -> str:
    return method_title(str(run.setting("method.name")))


def _bytes(storage: Mapping[str, Any]) -> str:
    total = storage.get("total_bytes")
    return "of unknown size" if total is None else f"{total:,} bytes"


def _baseline(name: str, outcome: Mapping[str, Any], labels_of_set: str) -> str:
    """Description of a baseline such as ``random_static@ipc``."""
    kind, _, budget = name.partition("@")
    size = _bytes(outcome.get("storage", {}))
    if kind == "full":
        return f"all training images with hard labels, {size}"
    labels = kind.rpartition("_")[2]
    worded = "the same labels" if labels == labels_of_set else f"{labels} labels"
    return f"random images with {worded}, {size}{_BUDGETS.get(budget, '')}"


def _beside(own: Summary, other: Summary, method: str) -> str:
    difference = own["mean"] - other["mean"]
    score = f"{summary_as_text(other)} %"
    if difference == 0:
        return f"{score}, equal"
    ahead = f"{method} ahead" if difference > 0 else "ahead"
    return f"{score}, {ahead} by {abs(difference):.2f} points, {judgement(welch(own, other))}"
