"""Squeeze: train or read the teachers, one per architecture of the ensemble, and check their accuracy."""

from collections.abc import Sequence

from infer.config import Stage
from infer.context import Context
from infer.errors import RunError
from infer.stages.make_artefacts import make_stage
from infer.store import Artefact
from infer.teachers.teacher import Teacher


def run(context: Context, artefacts: Sequence[Artefact]) -> None:
    """Make the teachers among ``artefacts``, if the stage was requested, and check those that exist."""
    make_stage(context, Stage.squeeze, artefacts)
    check_teachers(context, existing_teachers(context, artefacts))


def existing_teachers(context: Context, artefacts: Sequence[Artefact]) -> list[Teacher]:
    """The teachers among ``artefacts`` that exist in the store."""
    return [a for a in artefacts if isinstance(a, Teacher) and context.store.exists(a)]


def check_teachers(context: Context, teachers: list[Teacher]) -> None:
    """Print the accuracy of each teacher. Raises RunError where one is below ``teachers.min_top1``."""
    required = context.config.teachers.required_top1(context.data.num_classes)
    for teacher in teachers:
        context.console.say(f"  {teacher.arch}: test top-1 {teacher.top1:.2f} %")
    for teacher in teachers:
        if teacher.top1 < required:
            raise RunError(
                f"teacher {teacher.arch} reaches {teacher.top1:.2f} % on the test split of {context.data.name}, below "
                f"teachers.min_top1 ({required:.2f}): too little training, or classes in another order than the "
                f"labels. {_remedy(teacher)}, or accept it with teachers.min_top1=null"
            )


def _remedy(teacher: Teacher) -> str:
    if teacher.weights:
        return (
            "Give weights that were trained on these classes, in this order, and say whose mean and std their images "
            "were normalised with, e.g. teachers.normalise=imagenet"
        )
    return "Train longer (teachers.epochs=...)"
