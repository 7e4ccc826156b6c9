"""Base classes of the sets of images that students are trained on, and of the distilled sets among them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.store import Artefact
from infer.training.images import Images


@dataclass(frozen=True)
class Bytes:
    """Size of a set's images in bytes, without labels and file headers."""

    natural: int
    compensators: int = 0

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.natural + self.compensators


class TrainingSet(ABC):
    """Images with classes that a student can be trained on."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Readable name, data set first."""

    @property
    @abstractmethod
    def num_images(self) -> int:
        """Number of images that a student sees."""

    @property
    @abstractmethod
    def stored_images(self) -> int:
        """Number of stored images, without compensators."""

    @property
    @abstractmethod
    def ipc_charged(self) -> float:
        """Nominal size of the set in images per class, as papers count it."""

    @property
    @abstractmethod
    def size_text(self) -> str:
        """Size of the set in words, for example ``10 images per class``."""

    @property
    @abstractmethod
    def bytes(self) -> Bytes:
        """Storage cost of the images."""

    @property
    @abstractmethod
    def student_settings(self) -> Mapping[str, Any]:
        """Settings that the images depend on, besides ``parents``, for a student's signature."""

    @property
    @abstractmethod
    def parents(self) -> Mapping[str, Artefact]:
        """Artefacts that hold the images, by role."""

    @abstractmethod
    def images(self) -> Images:
        """The images, on the CPU."""

    @abstractmethod
    def targets(self) -> Tensor:
        """Classes of the images: int64 [num_images]."""


@dataclass(frozen=True)
class Block:
    """Images that are labelled together; sets that have a block in common share its logits."""

    name: str
    settings: Mapping[str, Any]
    """Settings that the images depend on, besides ``parents``."""
    parents: Mapping[str, Artefact]
    images: Callable[[], Tensor]
    """Function that returns the normalised images, float32 [n, 3, H, W]; called only where logits are missing."""
    rows: Tensor
    """int64 [r], r <= n: positions in the set of the first r images; the remaining images belong to larger sets."""


class DistilledArtefact(Artefact, TrainingSet):
    """A distilled set in the store: a folder of format ``infer`` 1, without labels."""

    kind = "distilled"
    stage = Stage.generate

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """No settings, since a student's signature contains the set itself as a parent."""
        return {}

    @property
    def expected_bytes(self) -> int:
        return self.bytes.total

    @property
    @abstractmethod
    def blocks(self) -> list[Block]:
        """Partition of the set into parts that are labelled separately."""

    def as_one_block(self, name: str, images: Callable[[], Tensor]) -> list[Block]:
        """Trivial partition, in which one block ``name`` holds the whole set; ``images`` as in ``Block``."""
        return [Block(name, {}, {"images": self}, images, torch.arange(self.num_images))]

    @property
    def generation(self) -> dict[str, Any] | None:
        """Description of the optimisation's curves for reports, JSON-ready; None where nothing is optimised.

        ``optimised`` names the optimised tensors and ``each`` the units that have a curve each, both in the plural.
        ``count`` is the number of a teacher's curves that belong to the set; None: all of them.
        """
        return None

    @property
    def dataset_manifest(self) -> dict[str, Any]:
        """Description of the data set, which is part of every manifest."""
        data = self.context.data
        return {
            "name": data.name,
            "classes": list(data.classes),
            "mean": list(data.mean),
            "std": list(data.std),
            "image_size": data.image_size,
            "fingerprint": data.fingerprint,
        }
