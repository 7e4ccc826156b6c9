"""Relabel: the labels of a training set, by mode: hard, static or dynamic."""

from infer.config.method import LabelMode
from infer.context import Context
from infer.labels.base import Labels
from infer.labels.dynamic import DynamicLabels
from infer.labels.hard import HardLabels
from infer.labels.static import StaticLabels
from infer.methods.base import TrainingSet
from infer.stages.squeeze import Teacher


def labels_of(context: Context, images: TrainingSet, mode: LabelMode, teachers: list[Teacher]) -> Labels:
    """The labels of ``images``; nothing is made yet. ``teachers`` give the soft ones."""
    protocol = context.config.evaluate
    match mode:
        case LabelMode.hard:
            return HardLabels(images, protocol.label_smoothing)
        case LabelMode.static:
            return StaticLabels(context, images, teachers, protocol.temperature)
        case LabelMode.dynamic:
            return DynamicLabels(teachers, protocol.temperature)
