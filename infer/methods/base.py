"""What a method must provide: a distilled set that can be stored, labelled block by block and trained on."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.store import Artefact
from infer.training.images import Images


@dataclass(frozen=True)
class Bytes:
    """Payload of a set's images, labels aside."""

    natural: int
    compensators: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.natural + self.compensators


@dataclass(frozen=True)
class Block:
    """Images that are labelled together, so that their logits can be shared by sets that have them in common."""

    name: str
    settings: Mapping[str, Any]
    """What its images depend on, besides ``parents``."""
    parents: Mapping[str, Artefact]
    images: Callable[[], Tensor]
    """float32 [n, 3, H, W], normalised; called only when logits have to be made."""
    rows: Tensor
    """int64 [r], r <= n: where in the set the first r images stand; the others belong to larger sets."""


class TrainingSet(Protocol):
    """Images that a student can be trained on."""

    num_images: int
    """Images that a student sees."""
    stored_images: int
    """Real images that are stored, each with a class of its own."""
    ipc_charged: float
    """Images per class that the set is nominally charged for."""
    in_words: str
    """How large it is, for a person."""

    @property
    def name(self) -> str:
        """A readable name, data set first."""

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """What the images depend on, besides ``parents``, for a student's signature."""

    @property
    def parents(self) -> Mapping[str, Artefact]:
        """The artefacts that hold the images."""

    @property
    def bytes(self) -> Bytes:
        """What the images cost to store."""

    def images(self) -> Images:
        """The images, on the CPU."""

    def targets(self) -> Tensor:
        """Their classes: int64 [num_images]."""


class DistilledArtefact(Artefact):
    """A distilled set in the store: the folder of format ``infer`` 1, without labels."""

    kind = "distilled"
    stage = Stage.generate
    num_images: int
    """Images that a student sees."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """Nothing: the images are those of this artefact."""
        return {}

    @property
    @abstractmethod
    def blocks(self) -> list[Block]:
        """The set in parts that are labelled separately."""

    def as_one_block(self, name: str, images: Callable[[], Tensor]) -> list[Block]:
        """The whole set, labelled together; ``images`` as in ``Block``."""
        return [Block(name, {}, {"images": self}, images, torch.arange(self.num_images))]

    @property
    def generation(self) -> dict[str, Any] | None:
        """Words for the curves of the optimisation, JSON-ready; None where nothing is optimised.

        ``optimised`` and ``each`` name what was optimised and what has a curve of its own, in the plural; ``count`` is
        how many of the curves of a teacher belong to the set, None all of them.
        """
        return None

    @property
    def dataset_manifest(self) -> dict[str, Any]:
        """What every manifest says of the data set."""
        data = self.context.data
        return {
            "name": data.name,
            "classes": list(data.classes),
            "mean": list(data.mean),
            "std": list(data.std),
            "image_size": data.image_size,
            "fingerprint": data.fingerprint,
        }
