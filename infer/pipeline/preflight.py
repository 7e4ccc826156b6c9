"""Checks before the work: the tracker can start, networks can be built, published weights fit the networks, and
artefacts of stages that will not run exist."""

import torch
from torch import nn

from infer.analyses.outputs import NO_FEATURES
from infer.config import AnalysisName, Config, Stage
from infer.context import Context
from infer.errors import UsageError
from infer.methods.optimisation.bn_matching import has_matchable_norms
from infer.methods.sets.features import head_of
from infer.models.outline import outline
from infer.pipeline.plan import ArtefactPlan
from infer.pipeline.tracking import check_tracker
from infer.ranks import ranks
from infer.store import Artefact
from infer.teachers.network import TrainedNetwork
from infer.teachers.teacher import Teacher


def check(context: Context, plan: ArtefactPlan) -> None:
    """Raise UsageError where the requested stages would fail later."""
    check_tracker(context.config.tracker)
    _check_networks(context)
    _check_weights(context, plan.get(Stage.squeeze, []))
    check_growth(context, plan.get(Stage.squeeze, []))
    _check_ranks(context, plan)
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
    if Stage.report in config.stages:
        for arch, role in _probes(config):
            head_of(_outline(context, arch).eval(), arch, context.data.image_size, NO_FEATURES, role)
    for arch in {*config.teachers_that_label, *config.student.archs}:
        _outline(context, arch)


def _probes(config: Config) -> set[tuple[str, str]]:
    """Architectures, each with its role, whose features or outputs the run's analyses use."""
    found = set()
    if AnalysisName.boundary in config.analyses:
        found.add((config.student.archs[0], "student"))
    if set(config.analyses) - {AnalysisName.boundary, AnalysisName.dominance}:
        found |= {(arch, "teacher") for arch in (*config.ensemble, *config.teachers_that_label)}
    return found


def _check_weights(context: Context, teachers: list[Artefact]) -> None:
    for teacher in teachers:
        if isinstance(teacher, Teacher) and teacher.weights and not context.store.exists(teacher):
            teacher.fitted(teacher.weights, _outline(context, teacher.arch))


def check_growth(context: Context, teachers: list[Artefact]) -> None:
    """Refuse a ``start_size`` that exceeds the size of the images, or that is too small for a network."""
    size, start = context.data.image_size, context.config.teachers.start_size
    if start is None:
        return
    if start > size:
        raise UsageError(
            f"teachers.start_size={start} is larger than the images, {size}x{size} pixels: type a smaller size, or null"
        )
    for teacher in teachers:
        if not isinstance(teacher, Teacher) or teacher.weights or context.store.exists(teacher):
            continue
        network, images = _outline(context, teacher.arch), min(2, teacher.plan.largest_part)
        is_told_by_shapes = _takes(network, images, size)
        for smaller in sorted(set(teacher.plan.sizes(size)) - {size}):
            if is_told_by_shapes and not _takes(network, images, smaller):
                raise UsageError(
                    f"teachers.start_size={start} is not possible: {teacher.arch}, built for {size}x{size} pixels, "
                    f"cannot take {smaller}x{smaller}. Type teachers.start_size=null, or other teachers.archs"
                )


def _takes(network: nn.Module, images: int, size: int) -> bool:
    """True if the outline ``network`` accepts a batch of ``images`` images of ``size`` x ``size`` pixels."""
    try:
        with torch.no_grad():
            network(torch.empty(images, 3, size, size, device="meta"))
    except Exception:  # libraries raise errors of various types
        return False
    return True


def _check_ranks(context: Context, plan: ArtefactPlan) -> None:
    """Refuse more ranks than images that pass a network together in one of the trainings to come."""
    group = {Stage.squeeze: "teachers", Stage.evaluate: "evaluate"}
    for stage in context.config.stages:
        for network in plan.get(stage, []):
            if not isinstance(network, TrainedNetwork) or context.store.exists(network):
                continue
            together = network.plan.part_size
            if together < ranks.world:
                raise UsageError(
                    f"{ranks.world} ranks cannot share the {together} images that go through {network.arch} together. "
                    f"Start at most {together}, or type a larger {group[stage]}.batch_size"
                )


def _outline(context: Context, arch: str) -> nn.Module:
    """The network on the meta device, without memory for its weights. Raises UsageError where it cannot be built."""
    return outline(arch, context.data.num_classes, context.data.image_size)
