"""Choice of the labels of a training set: hard, static, dynamic or fkd, made by teachers or elsewhere."""

from collections.abc import Callable, Mapping
from typing import Any

from infer.config.labeling import LabelMode
from infer.context import Context
from infer.data.paths import expand
from infer.errors import UsageError
from infer.labels.base import Labels, SoftLabelLoss
from infer.labels.dynamic import DynamicLabels
from infer.labels.fkd import FkdLabels
from infer.labels.fkd_by_teachers import teachers_labels
from infer.labels.fkd_imported import imported_labels, open_labels, settings_overridden
from infer.labels.from_set import SetLabels
from infer.labels.hard import HardLabels
from infer.labels.static import StaticLabels
from infer.methods.registry import distilled_set
from infer.methods.sets.base import DistilledArtefact, TrainingSet
from infer.methods.sets.imported_set import ImportedSet
from infer.teachers.teacher import Teacher
from infer.training.plan import Plan

PlanWith = Callable[[Mapping[str, Any]], Plan]
"""Function from settings that replace those of the protocol (``Labels.overrides``) to the plan of the students."""


def labels_of(
    context: Context, images: TrainingSet, mode: LabelMode, teachers: list[Teacher], plan_with: PlanWith
) -> Labels:
    """Labels of ``images`` of kind ``mode``, not made yet.

    ``teachers`` make soft labels, unless those of the run's distilled set were made elsewhere (``labeling``). FKD
    labels are made for the batches of the plan that ``plan_with`` returns.
    """
    protocol = context.config.evaluate
    loss = SoftLabelLoss(protocol.temperature, protocol.loss_times_t2)
    given = context.config.labeling.made_elsewhere and _is_the_runs_own(context, images)
    match mode:
        case LabelMode.hard:
            return HardLabels(images, protocol.label_smoothing)
        case LabelMode.static if given:
            return SetLabels(context, _distilled(images), loss)
        case LabelMode.static:
            return StaticLabels(context, _distilled(images), teachers, loss)
        case LabelMode.dynamic:
            return DynamicLabels(context, teachers, loss)
        case LabelMode.fkd:
            if given:
                return _fkd_made_elsewhere(context, images, plan_with, loss)
            return teachers_labels(context, images, teachers, plan_with({}), loss)


def _fkd_made_elsewhere(context: Context, images: TrainingSet, plan_with: PlanWith, loss: SoftLabelLoss) -> FkdLabels:
    given = context.config.labeling.path
    if given is not None:
        path = expand(given)
    elif isinstance(images, ImportedSet):
        path = images.path
    else:
        raise UsageError(
            f"labeling.source=set takes the labels of an imported set, and method={context.config.method.name} makes "
            "one of its own. Type labeling.path=<folder of FKD labels>, or method=imported method.path=..."
        )
    folder = open_labels(path, context.data.image_size)
    overrides = settings_overridden(context, folder, context.config.protocol_for(), images.num_images)
    return imported_labels(context, images, folder, plan_with(overrides), loss, overrides)


def _distilled(images: TrainingSet) -> DistilledArtefact:
    """``images``, which must be an artefact, since stored labels have their images as a parent."""
    assert isinstance(images, DistilledArtefact), f"{images.name} has no blocks to label"
    return images


def _is_the_runs_own(context: Context, images: TrainingSet) -> bool:
    """True if ``images`` are the run's distilled set and not a baseline."""
    return isinstance(images, DistilledArtefact) and images.signature == distilled_set(context).signature
