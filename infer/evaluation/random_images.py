"""Random images of the same size as a distilled set, in bytes, in nominal ipc or in number of images."""

from infer.config import BaselineBudget
from infer.config.labeling import LabelMode
from infer.context import Context
from infer.errors import UsageError
from infer.evaluation.protocol import student_plan
from infer.labels.fkd_by_teachers import fkd_bytes
from infer.methods.budget import HARD_LABEL_BYTES, LOGIT_BYTES, image_bytes, random_images_for
from infer.methods.sets.base import TrainingSet
from infer.methods.sets.real_images import RandomSet


def random_images(
    context: Context, budget: BaselineBudget, mode: LabelMode, images: TrainingSet, total_bytes: int, steps: int
) -> tuple[RandomSet, int]:
    """Random real images of the same size as the distilled ``images``, and the bytes of the budget that are left over.

    ``total_bytes`` is the size of the distilled set with its labels, ``mode`` the kind of the random images' labels and
    ``steps`` the number of updates of their students. Bytes can be left over only where ``budget`` is ``bytes``.
    Raises UsageError where not even one image per class fits.
    """
    match budget:
        case BaselineBudget.images:
            return RandomSet(context, _at_most_all(context, images.num_images // context.data.num_classes)), 0
        case BaselineBudget.ipc:
            return RandomSet(context, _at_most_all(context, _nominal_ipc(context, images))), 0
        case BaselineBudget.bytes if mode is LabelMode.fkd:
            return _at_equal_bytes_with_fkd(context, total_bytes, steps)
        case BaselineBudget.bytes:
            return _at_equal_bytes(context, total_bytes, mode)


def _nominal_ipc(context: Context, images: TrainingSet) -> int:
    """The setting ``ipc``; where K is given instead, the nominal charge of ``images``, rounded."""
    return context.config.ipc if context.config.K is None else max(1, round(images.ipc_charged))


def _at_most_all(context: Context, per_class: int) -> int:
    return min(per_class, min(context.data.train_counts))


def _at_equal_bytes(context: Context, total_bytes: int, mode: LabelMode) -> tuple[RandomSet, int]:
    data = context.data
    label_bytes = {
        LabelMode.hard: HARD_LABEL_BYTES,
        LabelMode.static: LOGIT_BYTES * data.num_classes,
        LabelMode.dynamic: 0,
    }[mode]
    cost = image_bytes(data.image_size) + label_bytes
    per_class, leftover = random_images_for(total_bytes, cost, data.num_classes, min(data.train_counts))
    return RandomSet(context, per_class), leftover


def _at_equal_bytes_with_fkd(context: Context, total_bytes: int, steps: int) -> tuple[RandomSet, int]:
    """The largest set of random images that fits into ``total_bytes`` with its fkd labels.

    Labels are stored per epoch, and with fewer images the same number of updates takes more epochs, so the bytes per
    image depend on the number of images.
    """
    data, labeling = context.data, context.config.labeling
    most, _ = random_images_for(total_bytes, image_bytes(data.image_size), data.num_classes, min(data.train_counts))
    for per_class in range(most, 0, -1):
        images = RandomSet(context, per_class)
        plan = student_plan(context, images, steps)
        leftover = total_bytes - images.bytes.total - fkd_bytes(plan, data.image_size, data.num_classes, labeling)
        if leftover >= 0:
            return images, leftover
    raise UsageError(
        f"{total_bytes} bytes do not suffice for one image per class with its fkd labels. Store fewer of them "
        "(labeling.epochs_stored=1), or leave the baseline out: baselines=[]"
    )
