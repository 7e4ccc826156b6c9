"""Real images as they are: drawn at random, or all of them. What every distilled set is compared with."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from infer.context import Context
from infer.methods.base import Bytes
from infer.methods.image_set import DistilledImages
from infer.store import Artefact
from infer.training.images import Images


class RandomSet(DistilledImages):
    """``per_class`` training images of each class, drawn without replacement; class c's draw is nested in size."""

    method = "random"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": self.method,
            "data": self.context.data.fingerprint,
            "per_class": self.per_class,
            "seed": self.context.config.seed,
        }

    def finished_images(self) -> tuple[Tensor, Tensor]:
        data = self.context.data
        rows = data.sample(self.context.config.seed, self.per_class, "random").flatten()
        return data.train.images[rows], data.train.targets[rows]


class FullSet:
    """The whole training data with its hard labels: the ceiling of the comparison. Nothing is stored."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.num_images = self.stored_images = sum(context.data.train_counts)
        self.ipc_charged = self.num_images / context.data.num_classes
        self.in_words = "all training images"

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-full"

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"all_training_images": self._context.data.fingerprint}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {}

    @property
    def bytes(self) -> Bytes:
        return Bytes(natural=self._context.data.train_bytes)

    def images(self) -> Images:
        data = self._context.data
        return Images(data.train.images, data.normalisation)

    def targets(self) -> Tensor:
        return self._context.data.train.targets
