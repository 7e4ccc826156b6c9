"""Evaluation protocol of a run: length of training, input pixels and test images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infer.config.checks import require
from infer.config.evaluate import Mix, TestCrop
from infer.context import Context
from infer.methods.sets.base import TrainingSet
from infer.normalisation import Normalisation
from infer.training.images import LabelledImages
from infer.training.plan import Plan


def student_plan(
    context: Context,
    images: TrainingSet,
    steps: int | None = None,
    arch: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Length, schedule and batches of the training of a student on ``images``.

    ``steps`` replaces the protocol's length. ``arch`` affects only the learning rate; None: that of the first student.
    ``overrides`` replace settings of the protocol (``Labels.overrides``). Raises UsageError where the images cannot be
    divided into the patches that are to be shuffled.
    """
    size = context.data.image_size
    protocol = replace(context.config.protocol_for(arch), **overrides or {})
    patches = protocol.shuffle_patches
    allowed = f"images of {size}x{size} pixels do not divide into that many rows and columns of patches"
    require(size % patches == 0, "evaluate.shuffle_patches", patches, allowed)
    if protocol.divide_epochs_by_blocks and protocol.epochs is not None:
        blocks = images.num_images // images.stored_images
        protocol = replace(protocol, epochs=max(1, round(protocol.epochs / blocks)))
    return Plan(
        protocol,
        images.num_images,
        steps=None if steps == protocol.steps else steps,  # so that students of equal length have equal signatures
        mix_alpha=None if protocol.mix is Mix.none else protocol.mix_alpha,
        cutmix=protocol.mix is Mix.cutmix,
    )


def student_normalisation(context: Context) -> Normalisation:
    """Normalisation of the pixels that students see under the protocol."""
    return context.data.normalised_by(context.config.evaluate.normalise)


def as_tested(context: Context, images: LabelledImages) -> LabelledImages:
    """Test ``images`` with the normalisation and the enlargement of the protocol."""
    return replace(images.renormalised(student_normalisation(context)), enlarged_to=_enlarged_to(context))


def pixel_settings(context: Context) -> dict[str, Any]:
    """Settings by which the students' input pixels differ from the data set's, for signatures; JSON-ready."""
    settings: dict[str, Any] = dict(student_normalisation(context).settings_beside(context.data.normalisation))
    if (enlarged := _enlarged_to(context)) is not None:
        settings["enlarged_to"] = enlarged
    return settings


def _enlarged_to(context: Context) -> int | None:
    size = context.data.image_size
    enlarged = size // 7 * 8
    return enlarged if context.config.evaluate.test_crop is TestCrop.enlarged_centre and enlarged > size else None
