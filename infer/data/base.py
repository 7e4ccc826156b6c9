"""Interface of data sets: properties that are read first, and pixels that are read at first use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch

from infer.config.training import Normalise
from infer.data.files_on_demand import Originals
from infer.data.on_demand import OnDemand, Pixels
from infer.errors import UsageError
from infer.normalisation import CIFAR10, IMAGENET, Normalisation
from infer.seeds import generator


@dataclass(frozen=True)
class Split:
    """Images uint8 [N,3,H,W] and their classes int64 [N]."""

    images: Pixels
    targets: torch.Tensor
    originals: Originals | None = None
    """The images before they were resized; None where images are not resized, or do not come from image files."""

    def only(self, rows: torch.Tensor) -> "Split":
        """A split of the images ``rows``, int64 [n], in that order; images on demand are not loaded yet."""
        images = self.images.only(rows) if isinstance(self.images, OnDemand) else self.images[rows]
        return Split(images, self.targets[rows], self.originals and self.originals.only(rows))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Properties of a data set without its pixels; the label of a class is its position in ``classes``."""

    name: str
    classes: list[str]
    mean: list[float]
    """Mean of each channel of the training images, for pixel values in [0, 1]."""
    std: list[float]
    """Standard deviation of each channel of the training images, for pixel values in [0, 1]; above 0."""
    image_size: int
    """Height and width of the images in pixels."""
    train_counts: list[int]
    """Number of training images of each class."""
    fingerprint: str
    """Hex SHA-256 of the contents of both splits, the class names, the image size, mean and std."""
    notes: list[str]
    """Remarks for the user about the data, such as changes made to it."""

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def normalisation(self) -> Normalisation:
        """The normalisation by the data set's own mean and std, with which images are distilled and stored."""
        return Normalisation.of(self.mean, self.std)

    def normalised_by(self, choice: Normalise) -> Normalisation:
        """The normalisation that the setting ``normalise`` of teachers or of a protocol names."""
        return {Normalise.cifar10: CIFAR10, Normalise.imagenet: IMAGENET}.get(choice, self.normalisation)

    @property
    def train_bytes(self) -> int:
        """Size in bytes of the training images as a uint8 tensor."""
        return sum(self.train_counts) * 3 * self.image_size**2


class Source(Protocol):
    """Reader of one kind of data set."""

    @property
    def is_resized(self) -> bool:
        """True if image files are resized to squares; splits then have ``originals``."""

    def facts(self, cache_dir: Path) -> Facts:
        """The facts. Those that were measured on the same files before are read from ``cache_dir``."""

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDataset(Facts):
    """A data set: its facts, and its splits, which are read at first use and then kept."""

    read: Callable[[str], Split] = field(repr=False)
    """Function that returns the split of a given name."""
    is_resized: bool = False
    """True if image files are resized to squares; splits then have ``originals``."""
    held_out: bool = False
    """True if a part of the training data was held out as ``val``."""

    @cached_property
    def train(self) -> Split:
        return self.read("train")

    @cached_property
    def test(self) -> Split:
        return self.read("test")

    @cached_property
    def val(self) -> Split | None:
        """The part of the training data that ``infer.data.holdout`` held out; None where it was not used."""
        return self.read("val") if self.held_out else None

    @cached_property
    def class_indices(self) -> list[torch.Tensor]:
        """Indices of the training images of each class, int64, in ascending order."""
        return list(torch.argsort(self.train.targets, stable=True).split(self.train_counts))

    def require_images(
        self, per_class: int, key: str = "K", asked: str | None = None, most: Callable[[int], int] = int
    ) -> None:
        """Raise UsageError where a class has fewer than ``per_class`` training images, the value of setting ``key``.

        Where the number of images is computed from the value of ``key``, ``asked`` begins the message in place of
        ``key=per_class``, and ``most`` returns the largest value of ``key`` for a number of available images.
        """
        smallest = min(self.train_counts)
        if per_class > smallest:
            scarce = self.classes[self.train_counts.index(smallest)]
            raise UsageError(
                f"{asked or f'{key}={per_class}'} asks for that many training images of every class, but class "
                f"{scarce!r} of {self.name} has {smallest}. Type {key}={most(smallest)} or less"
            )

    def sample(self, seed: int, per_class: int, purpose: str) -> torch.Tensor:
        """Indices int64 [C, per_class] of training images, one row per class, sampled without replacement.

        Row c is the start of a permutation that depends on (seed, purpose, c) only, so a smaller sample is the start
        of a larger one. Raises UsageError where a class has fewer than ``per_class`` images.
        """
        self.require_images(per_class)
        rows = []
        for c, indices in enumerate(self.class_indices):
            order = generator(seed, purpose, c).permutation(len(indices))
            rows.append(indices[torch.from_numpy(order[:per_class])])
        return torch.stack(rows)

    def natural(self, seed: int, start: int, stop: int) -> torch.Tensor:
        """Natural subsets P_k, k in [start, stop), each of one real image per class: uint8 [stop-start,C,3,H,W].

        P_k depends on the seed and k only, so the subsets for a small K are the first ones for a large K. No image is
        in two subsets. Raises UsageError where a class has fewer than ``stop`` images.
        """
        indices = self.sample(seed, stop, "natural")[:, start:].T
        return self.train.images[indices]
