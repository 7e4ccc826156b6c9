"""Plan of a run: its evaluations, and all artefacts that they depend on, by stage."""

from infer.config import Stage
from infer.context import Context
from infer.evaluation.comparison import Evaluation, artefacts_under, baseline_evaluations, main_evaluation
from infer.stages.pictures import Pictures
from infer.store import Artefact

ArtefactPlan = dict[Stage, list[Artefact]]
"""Artefacts by the stage that makes them, parents before children."""
_MAKING_STAGES = (Stage.squeeze, Stage.generate, Stage.relabel, Stage.evaluate)


def plan_evaluations(context: Context, in_sweep: bool) -> list[Evaluation]:
    """Evaluations of the distilled set, which comes first, and of the baselines; nothing is made yet."""
    main = main_evaluation(context)
    return [main, *baseline_evaluations(context, main, context.config.baselines_of(in_sweep))]


def by_stage(evaluations: list[Evaluation]) -> ArtefactPlan:
    """All artefacts that the evaluations depend on, by stage."""
    needed = artefacts_under(evaluations)
    return {stage: [artefact for artefact in needed if artefact.stage is stage] for stage in _MAKING_STAGES}


def with_report(context: Context, evaluations: list[Evaluation], plan: ArtefactPlan) -> ArtefactPlan:
    """``plan`` with the pictures, whose signature is final only when all other artefacts exist."""
    return plan | {Stage.report: [Pictures(context, evaluations)]}
