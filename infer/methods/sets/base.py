"""Contracts of the sets of images that students are trained on, and of those that a method distils."""

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
    """Payload of a set's images in bytes, labels not included."""

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
        """Number of stored images that have a class of their own."""

    @property
    @abstractmethod
    def ipc_charged(self) -> float:
        """Nominal charge of the set in images per class."""

    @property
    @abstractmethod
    def size_text(self) -> str:
        """Size of the set for a person, for example ``10 images per class``."""

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
    """Images that are labelled together, so that sets which have them in common share their logits."""

    name: str
    settings: Mapping[str, Any]
    """Settings that the images depend on, besides ``parents``."""
    parents: Mapping[str, Artefact]
    images: Callable[[], Tensor]
    """Function that returns the images, float32 [n, 3, H, W], normalised; called only when logits have to be made."""
    rows: Tensor
    """int64 [r], r <= n: positions in the set of the first r images; the other images belong to larger sets."""


class DistilledArtefact(Artefact, TrainingSet):
    """A distilled set in the store: a folder of format ``infer`` 1, without labels."""

    kind = "distilled"
    stage = Stage.generate

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """Empty: a student's signature names the set itself as a parent."""
        return {}

    @property
    def expected_bytes(self) -> int:
        return self.bytes.total

    @property
    @abstractmethod
    def blocks(self) -> list[Block]:
        """Partition of the set into parts that are labelled separately."""

    def as_one_block(self, name: str, images: Callable[[], Tensor]) -> list[Block]:
        """Trivial partition: the whole set, labelled together; ``images`` as in ``Block``."""
        return [Block(name, {}, {"images": self}, images, torch.arange(self.num_images))]

    @property
    def generation(self) -> dict[str, Any] | None:
        """Words for the curves of the optimisation, JSON-ready; None where nothing is optimised.

        ``optimised`` and ``each`` name what was optimised and what has a curve of its own, in the plural; ``count`` is
        the number of a teacher's curves that belong to the set, None for all of them.
        """
        return None

    @property
    def dataset_manifest(self) -> dict[str, Any]:
        """Facts about the data set that every manifest holds."""
        data = self.context.data
        return {
            "name": data.name,
            "classes": list(data.classes),
            "mean": list(data.mean),
            "std": list(data.std),
            "image_size": data.image_size,
            "fingerprint": data.fingerprint,
        }
