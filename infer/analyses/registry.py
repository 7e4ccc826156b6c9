"""Analyses by name, the networks that they use, and the warnings about compensators that every run checks for."""

from collections.abc import Mapping, Sequence
from typing import Any

from infer.analyses import conflict, dominance
from infer.analyses.base import Analysis
from infer.analyses.boundary import Boundary, StudentBoundary
from infer.analyses.interpolation import Interpolation
from infer.analyses.parts import has_compensators, parts_of
from infer.analyses.similarity import Similarity
from infer.config import AnalysisName
from infer.context import Context
from infer.methods.sets.base import DistilledArtefact
from infer.teachers.network import TrainedNetwork
from infer.teachers.teacher import Teacher


def analysis_of(
    name: AnalysisName,
    images: DistilledArtefact,
    probes: Sequence[Teacher],
    classes: Sequence[str] | None = None,
    beside: DistilledArtefact | None = None,
    students: Sequence[TrainedNetwork] = (),
) -> Analysis:
    """The analysis ``name`` of ``images``, which is not computed yet.

    ``classes``, ``beside`` and ``students`` are for boundary: it uses the students of ``images`` and of ``beside``
    where they are given, and otherwise the first of ``probes``. Raises UsageError for a set or classes that do not fit
    the analysis.
    """
    match name:
        case AnalysisName.similarity:
            return Similarity(images, probes)
        case AnalysisName.interpolation:
            return Interpolation(images, probes)
        case AnalysisName.boundary:
            if not students:
                return Boundary(images, probes, classes, beside)
            shown = [images, *([beside] if beside else [])]
            return StudentBoundary(list(zip(shown, students, strict=True)), classes)
        case AnalysisName.conflict:
            return conflict.Conflict(images, probes)
        case AnalysisName.dominance:
            return dominance.Dominance(images)


def teachers_of(context: Context) -> list[Teacher]:
    """All teachers of a run, whether they are trained yet or not: the ensemble, then those used only for labels."""
    archs = dict.fromkeys([*context.config.ensemble, *context.config.teachers_that_label])
    return [Teacher(context, arch) for arch in archs]


def warnings_of(facts: Mapping[str, Any]) -> list[str]:
    """Warnings about the facts of an analysis, each with a number and a setting to try."""
    match facts["analysis"]:
        case AnalysisName.conflict:
            found = conflict.warning_of(facts)
            return [found] if found else []
        case AnalysisName.dominance:
            return dominance.warnings_of(facts)
        case _:
            return []


def signs_of_failure(images: DistilledArtefact) -> list[str]:
    """Warnings about the compensators of ``images``, a set in the store. No network is needed, and it takes seconds."""
    if not has_compensators(images):
        return []
    parts = parts_of(images)
    disagreement = conflict.warning_of(conflict.agreement(parts))
    return [*dominance.warnings_of(dominance.weight_of(parts)), *([disagreement] if disagreement else [])]
