"""Sets of unchanged real images: a random sample, and the whole training data."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from infer.context import Context
from infer.methods.sets.base import Bytes, TrainingSet
from infer.methods.sets.image_set import DistilledImages
from infer.store import Artefact
from infer.training.images import Images


class RandomSet(DistilledImages):
    """``per_class`` training images of each class, drawn without replacement; a larger set contains a smaller one."""

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


class FullSet(TrainingSet):
    """The whole training data, the upper bound of the comparison. It is not copied into the store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-full"

    @property
    def num_images(self) -> int:
        return sum(self._context.data.train_counts)

    @property
    def stored_images(self) -> int:
        return self.num_images

    @property
    def ipc_charged(self) -> float:
        return self.num_images / self._context.data.num_classes

    @property
    def size_text(self) -> str:
        return "all training images"

    @property
    def bytes(self) -> Bytes:
        return Bytes(natural=self._context.data.train_bytes)

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"all_training_images": self._context.data.fingerprint}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {}

    def images(self) -> Images:
        data = self._context.data
        return Images(data.train.images, data.normalisation)

    def targets(self) -> Tensor:
        return self._context.data.train.targets
