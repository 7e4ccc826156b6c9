"""Storage budgets: the number of subsets for an ipc, the charge of a set, random images for a number of bytes."""

from infer.errors import UsageError

HARD_LABEL_BYTES = 2
LOGIT_BYTES = 2
_SCALE_BYTES = 4
_VALUE_BYTES = {"int8": 1, "float16": 2, "float32": 4}


def subsets_for(ipc: int, num_classes: int, num_teachers: int, per_class: bool = False, scale: int = 1) -> int:
    """Number K of natural subsets that a budget of ``ipc`` images per class pays for: max(1, ipc·C // (C + M)).

    A compensator costs as much as one image and serves all C classes, so a subset with its M compensators costs
    1 + M/C images per class. With ``per_class`` compensators a subset costs 1 + M. A compensator that is stored at
    1/``scale`` of the edge costs 1/scale² of an image. The published code truncates in floating point and gets 0 at
    ipc=1 (ufc_cifar.py:252).
    """
    compensators = _compensators_of_subset(num_classes, num_teachers, per_class)
    return max(1, ipc * num_classes * scale**2 // (num_classes * scale**2 + compensators))


def ipc_charged(subsets: int, num_classes: int, num_teachers: int, per_class: bool = False, scale: int = 1) -> float:
    """Nominal charge, in images per class, of K subsets with their compensators: K(1 + M/C), as in the paper.

    With ``per_class`` compensators it is K(1 + M). A compensator that is stored at 1/``scale`` of the edge counts as
    1/scale² of an image.
    """
    compensators = _compensators_of_subset(num_classes, num_teachers, per_class)
    return subsets * (1 + compensators / (num_classes * scale**2))


def _compensators_of_subset(num_classes: int, num_teachers: int, per_class: bool) -> int:
    return num_teachers * (num_classes if per_class else 1)


def image_bytes(image_size: int) -> int:
    """Bytes of one image of three channels."""
    return 3 * image_size**2


def compensator_bytes(image_size: int, dtype: str) -> int:
    """Bytes of one compensator, including the scales of its channels for int8."""
    return image_bytes(image_size) * _VALUE_BYTES[dtype] + (3 * _SCALE_BYTES if dtype == "int8" else 0)


def random_images_for(total_bytes: int, bytes_per_image: int, num_classes: int, smallest_class: int) -> tuple[int, int]:
    """Largest number of images per class that fits into ``total_bytes``, and the number of bytes left over.

    ``bytes_per_image`` includes the labels; ``smallest_class`` is the number of images in the smallest class, which
    limits the result. Raises UsageError where not even one image per class fits.
    """
    per_class = min(total_bytes // (bytes_per_image * num_classes), smallest_class)
    if per_class == 0:
        raise UsageError(
            f"{total_bytes} bytes do not suffice for one image per class with its label "
            f"({bytes_per_image * num_classes} bytes), so there is no random baseline of equal bytes. "
            "Raise ipc, or leave it out: baselines=[]"
        )
    return per_class, total_bytes - per_class * bytes_per_image * num_classes
