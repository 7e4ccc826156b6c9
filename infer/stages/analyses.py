"""Analyses of a run's distilled set, which are a part of the stage report."""

from infer.analyses.base import Analysis
from infer.analyses.registry import analysis_of, teachers_of
from infer.config import Stage
from infer.context import Context
from infer.evaluation.comparison import Evaluation
from infer.methods.sets.base import DistilledArtefact
from infer.plots.analyses import draw, sentence_of
from infer.records.names import ANALYSES
from infer.store.artefact import with_ancestors
from infer.teachers.teacher import Teacher


def check(context: Context, evaluation: Evaluation, planned: set[str]) -> None:
    """Raise UsageError where a requested analysis would fail at the end of the run.

    ``planned`` contains the signatures of the artefacts that the run makes or reuses.
    """
    probes = [each for each in teachers_of(context) if each.signature in planned or context.store.exists(each)]
    for artefact in with_ancestors(_analyses(context, evaluation, probes).values()):
        if artefact.stage is Stage.report:
            context.require_parents(artefact)


def run(context: Context, evaluation: Evaluation) -> dict[str, str]:
    """Make and draw the requested analyses, print their results, and return their signatures by name."""
    probes = [teacher for teacher in teachers_of(context) if context.store.exists(teacher)]
    analyses = _analyses(context, evaluation, probes)
    if analyses:
        context.console.say("analyses", style="bold")
    for name, analysis in analyses.items():
        facts = analysis.facts()
        context.console.say(f"  {name}: {sentence_of(facts)}")
        draw(facts, context.run_folder / ANALYSES, name)
    return {name: analysis.signature for name, analysis in analyses.items()}


def _analyses(context: Context, evaluation: Evaluation, probes: list[Teacher]) -> dict[str, Analysis]:
    if Stage.report not in context.config.stages:
        return {}
    images = evaluation.labelled.images
    assert isinstance(images, DistilledArtefact), "only baselines are anything else"
    students = [evaluation.kept_student]
    return {name.value: analysis_of(name, images, probes, students=students) for name in context.config.analyses}
