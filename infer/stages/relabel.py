"""Relabel: the labels of a training set, by mode: hard, static, dynamic or fkd."""

from infer.config.labeling import LabelMode
from infer.context import Context
from infer.labels.base import Labels, SoftLabelLoss
from infer.labels.dynamic import DynamicLabels
from infer.labels.fkd import FkdLabels
from infer.labels.hard import HardLabels
from infer.labels.static import StaticLabels
from infer.methods.base import TrainingSet
from infer.protocol import student_plan
from infer.stages.squeeze import Teacher


def labels_of(
    context: Context, images: TrainingSet, mode: LabelMode, teachers: list[Teacher], steps: int | None = None
) -> Labels:
    """The labels of ``images``; nothing is made yet. ``teachers`` give the soft ones.

    ``steps`` are the updates of students where they do not follow from the protocol: labels that are stored per epoch
    are made for so many.
    """
    protocol = context.config.evaluate
    loss = SoftLabelLoss(protocol.temperature, protocol.loss_times_t2)
    match mode:
        case LabelMode.hard:
            return HardLabels(images, protocol.label_smoothing)
        case LabelMode.static:
            return StaticLabels(context, images, teachers, loss)
        case LabelMode.dynamic:
            return DynamicLabels(context, teachers, loss)
        case LabelMode.fkd:
            return FkdLabels(context, images, teachers, student_plan(context, images, steps), loss)
