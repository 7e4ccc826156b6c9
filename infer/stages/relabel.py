"""Relabel: the labels of a training set, by mode: hard, static, dynamic or fkd; made here, or elsewhere."""

from infer.config.labeling import LabelMode
from infer.context import Context
from infer.data.paths import expand
from infer.errors import UsageError
from infer.labels.base import Labels, SoftLabelLoss
from infer.labels.dynamic import DynamicLabels
from infer.labels.fkd import FkdLabels, teachers_labels
from infer.labels.fkd_imported import imported_labels, open_labels, settings_overridden
from infer.labels.from_set import SetLabels
from infer.labels.hard import HardLabels
from infer.labels.static import StaticLabels
from infer.methods.base import DistilledArtefact, TrainingSet
from infer.methods.imported import ImportedSet
from infer.protocol import protocol_of, student_plan
from infer.stages.generate import distilled_set
from infer.stages.squeeze import Teacher


def labels_of(
    context: Context, images: TrainingSet, mode: LabelMode, teachers: list[Teacher], steps: int | None = None
) -> Labels:
    """The labels of ``images``; nothing is made yet. ``teachers`` give the soft ones, unless ``labeling`` says that
    those of the run's own set were made elsewhere.

    ``steps`` are the updates of students where they do not follow from the protocol: labels that are stored per epoch
    are made for so many.
    """
    protocol = context.config.evaluate
    loss = SoftLabelLoss(protocol.temperature, protocol.loss_times_t2)
    given = context.config.labeling.made_elsewhere and _is_the_runs_own(context, images)
    match mode:
        case LabelMode.hard:
            return HardLabels(images, protocol.label_smoothing)
        case LabelMode.static if given:
            return SetLabels(context, images, loss)
        case LabelMode.static:
            return StaticLabels(context, images, teachers, loss)
        case LabelMode.dynamic:
            return DynamicLabels(context, teachers, loss)
        case LabelMode.fkd:
            if given:
                return _fkd_made_elsewhere(context, images, steps, loss)
            return teachers_labels(context, images, teachers, student_plan(context, images, steps), loss)


def _fkd_made_elsewhere(context: Context, images: TrainingSet, steps: int | None, loss: SoftLabelLoss) -> FkdLabels:
    path = context.config.labeling.path
    if path is None and not isinstance(images, ImportedSet):
        raise UsageError(
            f"labeling.source=set takes the labels of an imported set, and method={context.config.method.name} makes "
            "one of its own. Type labeling.path=<folder of FKD labels>, or method=imported method.path=..."
        )
    folder = open_labels(expand(path) if path else images.path, context.data.image_size)
    overrides = settings_overridden(context, folder, protocol_of(context), images.num_images)
    plan = student_plan(context, images, steps, overrides=overrides)
    return imported_labels(context, images, folder, plan, loss, overrides)


def _is_the_runs_own(context: Context, images: TrainingSet) -> bool:
    """Whether ``images`` are the distilled set that the settings ask for, and no baseline."""
    return isinstance(images, DistilledArtefact) and images.signature == distilled_set(context).signature
