"""What could only fail after hours is tried before the first second of them: networks that cannot be built, weights
that do not fit them, parts of the pipeline that earlier parts have not made."""

import torch
from torch import nn

from infer.config import Stage
from infer.context import Context
from infer.errors import UsageError
from infer.methods.optimisation.bn_matching import has_matchable_norms
from infer.methods.sets.features import head_of
from infer.models import build
from infer.store import Artefact
from infer.teachers.teacher import Teacher


def check(context: Context, plan: dict[Stage, list[Artefact]]) -> None:
    """Raise UsageError, one line, for what the stages that were asked for are bound to stumble over."""
    _check_networks(context)
    _check_weights(context, plan.get(Stage.squeeze, []))
    for stage in context.config.stages:
        for artefact in plan.get(stage, []):
            if stage in context.forced or not context.store.exists(artefact):
                context.require_parents(artefact)
    if context.config.stages == [Stage.report]:
        for student in plan[Stage.evaluate]:
            context.require(student)


def _check_networks(context: Context) -> None:
    config = context.config
    matched = config.method.matched_teachers(config.ensemble)
    for arch in config.ensemble:
        network = _outline(context, arch)
        if arch in matched and not has_matchable_norms(network):
            raise UsageError(
                f"teacher {arch} has no batch-norm layers, and method={config.method.name} matches their statistics. "
                "Choose another, e.g. teachers.archs=[resnet18] or convnet3_batchnorm"
            )
    for arch in config.method.teachers_with_features(config.ensemble):
        head_of(_outline(context, arch).eval(), arch, context.data.image_size)
    for arch in {*config.teachers_that_label, *config.student.archs}:
        _outline(context, arch)


def _check_weights(context: Context, teachers: list[Artefact]) -> None:
    for teacher in teachers:
        if isinstance(teacher, Teacher) and teacher.weights and not context.store.exists(teacher):
            teacher.fitted(_outline(context, teacher.arch))


def _outline(context: Context, arch: str) -> nn.Module:
    """The network without its weights: built in no time, and an error where it cannot be."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build(arch, context.data.num_classes, context.data.image_size)
