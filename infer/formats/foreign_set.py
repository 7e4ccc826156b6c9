"""Distilled images of other programs with their classes, in a common form for all formats."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.normalisation import MOST_CLIPPED, Normalisation

_MUCH_CLIPPED = 0.01
"""Fraction of clipped values from which the likely cause is reported."""
_CLIPPED_LEVELS = 1.0
"""Number of levels outside black and white beyond which a value counts as clipped; less is a rounding error."""


@dataclass(frozen=True)
class Rounding:
    """Loss by rounding normalised values to uint8."""

    largest_error: float
    """Largest error in levels of 255; at most half a level where nothing was clipped."""
    clipped: float
    """Fraction of the values that were more than a level outside black and white."""

    @property
    def in_words(self) -> str:
        """Sentence about the loss, with the likely cause where it is large."""
        told = f"its values were rounded to bytes: the largest error is {self.largest_error:.3g} of 255 levels"
        if self.clipped < _MUCH_CLIPPED:
            return told
        return (
            f"{told}, because {100 * self.clipped:.1f} % lie beyond black or white: they may be normalised by another "
            "mean and std, or be whitened (ZCA), which no mean and std undo"
        )


@dataclass(frozen=True, eq=False)
class ForeignSet:
    """Images, their classes, and other contents of the format."""

    pixels: Tensor
    """uint8 [N, 3, H, H], or float32 with the normalisation of the program that wrote them."""
    targets: Tensor
    """Classes of the images, int64 [N]."""
    classes: Sequence[str] | None = None
    """Class names in order; None where the format does not have them."""
    soft_labels: Tensor | None = None
    """Logits or probabilities, float [N, C], unchanged; None without them."""
    student_lr: float | None = None
    """Learning rate for students that was distilled together with the images; None without it."""
    notes: Sequence[str] = ()
    """Remarks for the user on the reading, a sentence each."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return self.pixels.shape[-1]

    def normalised(self, normalisation: Normalisation) -> Tensor:
        """Images as float32 [N, 3, H, H]; uint8 is normalised, other values are assumed to be normalised."""
        return normalisation.normalise(self.pixels) if self.pixels.dtype == torch.uint8 else self.pixels

    def as_bytes(self, normalisation: Normalisation) -> tuple[Tensor, Rounding | None]:
        """Images as uint8 [N, 3, H, H], and the loss by rounding; None where they were uint8.

        Raises UsageError where most values would be clipped.
        """
        if self.pixels.dtype == torch.uint8:
            return self.pixels, None
        levels = normalisation.levels(self.pixels.double())
        rounded = levels.round().clamp(0, 255)
        outside = (levels < -_CLIPPED_LEVELS) | (levels > 255 + _CLIPPED_LEVELS)
        if (share := outside.double().mean().item()) > MOST_CLIPPED:
            raise UsageError(
                f"{share:.0%} of the values of the images lie beyond black or white, and nothing would be left of "
                "them. Give the mean and std that were subtracted from and divided out of values in [0, 1]"
            )
        loss = Rounding((levels - rounded).abs().max().item(), share)
        return rounded.to(torch.uint8), loss

    def class_by_class(self) -> "ForeignSet":
        """The same set, sorted by class; the order within a class does not change."""
        order = self.targets.argsort(stable=True)
        soft_labels = None if self.soft_labels is None else self.soft_labels[order]
        return replace(self, pixels=self.pixels[order], targets=self.targets[order], soft_labels=soft_labels)

    def require_square(self, source: object) -> "ForeignSet":
        """The set itself. Raises UsageError unless it consists of finite square colour images with a label each."""
        shape, count = list(self.pixels.shape), len(self.targets)
        if self.pixels.dim() != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[0] != count or 0 in shape:
            raise UsageError(
                f"{source} holds images {shape} and {count} labels; a set has images [N, 3, H, H] and N labels, and N "
                "and H are above 0"
            )
        if self.soft_labels is not None and (self.soft_labels.dim() != 2 or len(self.soft_labels) != count):
            raise UsageError(
                f"{source} holds {count} images and soft labels {list(self.soft_labels.shape)}, not [N, C]"
            )
        return self.require_finite(source)

    def require_finite(self, source: object) -> "ForeignSet":
        """The set itself. Raises UsageError where an image or a soft label contains NaN or infinity."""
        require_finite(self.pixels, "image", source)
        if self.soft_labels is not None:
            require_finite(self.soft_labels, "soft label", source)
        return self


def counted_by_class(finished: ForeignSet) -> Tensor:
    """The position of each image among those of its class: int64 [N]."""
    numbers = torch.empty_like(finished.targets)
    for target in finished.targets.unique():
        rows = (finished.targets == target).nonzero().flatten()
        numbers[rows] = torch.arange(len(rows))
    return numbers


def require_finite(values: Tensor, what: str, source: object) -> None:
    """Raise UsageError where a row of ``values`` [N, ...] contains NaN or infinity; ``what`` is the name of a row."""
    faulty = (~values.isfinite()).reshape(len(values), -1).any(dim=1).nonzero().flatten().tolist()
    if faulty:
        more = f" and {len(faulty) - 1} more" if faulty[1:] else ""
        raise UsageError(
            f"{source}: {what} {faulty[0]}{more} of {len(values)} holds values that are not finite. Make it again, "
            "or leave it out"
        )


def as_classes(labels: Tensor, source: object) -> Tensor:
    """Classes int64 [N] from ``labels`` [N] or [N, 1], integers of any type.

    Raises UsageError where they have another shape or are not integers.
    """
    if labels.dim() != 1 and list(labels.shape[1:]) != [1]:
        raise UsageError(f"{source} holds labels {list(labels.shape)}; classes are [N], soft labels float [N, C]")
    if labels.dtype == torch.bool:
        raise UsageError(f"{source} holds true and false as labels: classes are whole numbers. Save them as int64")
    classes = labels.detach().flatten()
    whole = classes.long()
    if classes.is_floating_point() and not bool((classes == whole).all()):
        first = classes[classes != whole][0].item()
        raise UsageError(f"{source} holds the label {first:g}: classes are whole numbers, soft labels float [N, C]")
    return whole


def class_major_targets(count: int, num_classes: int | None, source: object) -> Tensor:
    """Classes of ``count`` images in the order of classes, with the same number of images each: int64 [count].

    Raises UsageError where ``count`` is not a multiple of the number of classes, or that number is not known.
    """
    if num_classes is None:
        raise UsageError(
            f"{source} has no labels: its images are in the order of classes, and the number of classes is needed. "
            "Type --dataset NAME or --classes FILE"
        )
    if count % num_classes:
        raise UsageError(
            f"{source} has no labels, and its {count} images do not divide evenly into {num_classes} classes"
        )
    return torch.arange(num_classes).repeat_interleave(count // num_classes)
