"""The plan of a run: its evaluations, and every artefact that they depend on, by stage."""

from infer.config import Stage
from infer.context import Context
from infer.evaluation.comparison import Evaluation, baseline_evaluations, main_evaluation
from infer.store import Artefact
from infer.teachers.teacher import Teacher

Plan = dict[Stage, list[Artefact]]
_MAKING_STAGES = (Stage.squeeze, Stage.generate, Stage.relabel, Stage.evaluate)


def plan_evaluations(context: Context, in_sweep: bool) -> list[Evaluation]:
    """The distilled set first, then the baselines; nothing is made yet."""
    main = main_evaluation(context)
    return [main, *baseline_evaluations(context, main, context.config.baselines_of(in_sweep))]


def by_stage(evaluations: list[Evaluation]) -> Plan:
    """Every artefact that the evaluations depend on, parents before children, by the stage that makes it."""
    found: dict[str, Artefact] = {}
    for evaluation in evaluations:
        for students in evaluation.students.values():
            for student in students:
                _collect(student, found)
    return {stage: [a for a in found.values() if a.stage is stage] for stage in _MAKING_STAGES}


def existing_teachers(context: Context, plan: Plan) -> list[Teacher]:
    """The teachers of the plan that exist in the store."""
    return [a for a in plan[Stage.squeeze] if isinstance(a, Teacher) and context.store.exists(a)]


def _collect(artefact: Artefact, found: dict[str, Artefact]) -> None:
    if artefact.signature not in found:
        for parent in artefact.parents.values():
            _collect(parent, found)
        found[artefact.signature] = artefact
