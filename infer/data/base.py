"""Interface of a data set: facts at once, pixels at first use."""

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
    """The images before they were resized; None where they are the files' own pixels, or come from no files."""

    def only(self, rows: torch.Tensor) -> "Split":
        """The images ``rows``, int64 [n], in that order; images on demand are not loaded yet."""
        images = self.images.only(rows) if isinstance(self.images, OnDemand) else self.images[rows]
        return Split(images, self.targets[rows], self.originals and self.originals.only(rows))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Properties of a data set besides its pixels; the order of ``classes`` is that of the labels."""

    name: str
    classes: list[str]
    mean: list[float]
    """Per channel, of the training pixels in [0, 1]."""
    std: list[float]
    """Per channel, of the training pixels in [0, 1]; above 0."""
    image_size: int
    """Height and width in pixels."""
    train_counts: list[int]
    """Training images per class."""
    fingerprint: str
    """Hex SHA-256 of the contents of both splits, the class names, the image size, mean and std."""
    notes: list[str]
    """Remarks for a person on changes made to the data, a sentence each."""

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def normalisation(self) -> Normalisation:
        """The normalisation by the data set's own mean and std, with which everything is stored and distilled."""
        return Normalisation.of(self.mean, self.std)

    def normalised_by(self, choice: Normalise) -> Normalisation:
        """The normalisation that the setting ``normalise`` of teachers or of a protocol names."""
        return {Normalise.cifar10: CIFAR10, Normalise.imagenet: IMAGENET}.get(choice, self.normalisation)

    @property
    def train_bytes(self) -> int:
        """Bytes of the uint8 training tensor."""
        return sum(self.train_counts) * 3 * self.image_size**2


class Source(Protocol):
    """Reader of one kind of data set."""

    @property
    def is_resized(self) -> bool:
        """True if images are squares made of files of any size, so that splits have ``originals``."""

    def facts(self, cache_dir: Path) -> Facts:
        """The facts, out of ``cache_dir`` where they were measured on the same files before."""

    def split(self, name: str) -> Split:
        """The split called ``train`` or ``test``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDataset(Facts):
    """A data set: its facts, and its splits, decoded at first use and then held."""

    read: Callable[[str], Split] = field(repr=False)
    """Returns the split of a name."""
    is_resized: bool = False
    """True if images are squares made of files of any size, which a split has as ``originals``."""
    held_out: bool = False
    """True if a part of the training data was set aside as ``val``."""

    @cached_property
    def train(self) -> Split:
        return self.read("train")

    @cached_property
    def test(self) -> Split:
        return self.read("test")

    @cached_property
    def val(self) -> Split | None:
        """The part of the training data that ``infer.data.holdout`` set aside; None without it."""
        return self.read("val") if self.held_out else None

    @cached_property
    def class_indices(self) -> list[torch.Tensor]:
        """The ascending int64 indices of the training images of each class."""
        return list(torch.argsort(self.train.targets, stable=True).split(self.train_counts))

    def require_images(
        self, per_class: int, key: str = "K", asked: str | None = None, most: Callable[[int], int] = int
    ) -> None:
        """Raise UsageError when a class has fewer than ``per_class`` training images, the value of setting ``key``.

        Where that follows from another value, ``asked`` says so, and ``most`` is the greatest value of ``key`` that
        asks for at most as many images.
        """
        smallest = min(self.train_counts)
        if per_class > smallest:
            scarce = self.classes[self.train_counts.index(smallest)]
            raise UsageError(
                f"{asked or f'{key}={per_class}'} asks for as many training images of every class, but class "
                f"{scarce!r} of {self.name} has {smallest}. Type {key}={most(smallest)} or less"
            )

    def sample(self, seed: int, per_class: int, purpose: str) -> torch.Tensor:
        """Indices int64 [C, per_class] of training images, one row per class, sampled without replacement.

        Row c begins a permutation that belongs to (seed, purpose, c) alone, so a smaller sample is the start
        of a larger one. Raises UsageError when a class has fewer than ``per_class`` images.
        """
        self.require_images(per_class)
        rows = []
        for c, indices in enumerate(self.class_indices):
            order = generator(seed, purpose, c).permutation(len(indices))
            rows.append(indices[torch.from_numpy(order[:per_class])])
        return torch.stack(rows)

    def natural(self, seed: int, start: int, stop: int) -> torch.Tensor:
        """Natural subsets P_k, k in [start, stop), one real image per class each: uint8 [stop-start,C,3,H,W].

        P_k depends on the seed and k alone, so the subsets of a small K are the first ones of a large K, and
        no image comes twice. Raises UsageError beyond the smallest class.
        """
        indices = self.sample(seed, stop, "natural")[:, start:].T
        return self.train.images[indices]
