"""Real images as they are: drawn at random, or all of them. What every distilled set is compared with."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.formats.distilled import IMAGES, write_images
from infer.formats.pixels import normalise
from infer.methods.base import Block, Bytes, DistilledArtefact
from infer.methods.budget import image_bytes
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors
from infer.training.images import Images


class RandomSet(DistilledArtefact):
    """``per_class`` training images of each class, drawn without replacement; class c's draw is nested in size."""

    stage = Stage.generate

    def __init__(self, context: Context, per_class: int) -> None:
        super().__init__(context)
        self.per_class = per_class
        self.num_images = self.stored_images = per_class * context.data.num_classes
        self.ipc_charged = per_class
        self.in_words = f"{per_class} images per class"

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-random-{self.per_class}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": "random",
            "data": self.context.data.fingerprint,
            "per_class": self.per_class,
            "seed": self.context.config.seed,
        }

    def make(self, workspace: Workspace) -> dict[str, Any]:
        data = self.context.data
        rows = data.sample(self.context.config.seed, self.per_class, "random").flatten()
        manifest = {
            "method": "random",
            "dataset": self.dataset_manifest,
            "sizes": {"N": self.num_images, "C": data.num_classes, "per_class": self.per_class},
            "seed": self.context.config.seed,
            "bytes": {"natural": self.bytes.natural},
            "ipc_charged": self.per_class,
        }
        write_images(workspace.folder, data.train.images[rows], data.train.targets[rows], manifest)
        return {"images": self.num_images}

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {}

    @property
    def bytes(self) -> Bytes:
        return Bytes(natural=self.num_images * image_bytes(self.context.data.image_size))

    @property
    def blocks(self) -> list[Block]:
        data = self.context.data
        return [
            Block(
                name=f"random-{self.per_class}",
                settings={},
                parents={"images": self},
                images=lambda: normalise(self._stored()[IMAGES], data.mean, data.std),
                rows=torch.arange(self.num_images),
            )
        ]

    def images(self) -> Images:
        data = self.context.data
        return Images(self._stored()[IMAGES], tuple(data.mean), tuple(data.std))

    def targets(self) -> Tensor:
        return self._stored()["targets"]

    def _stored(self) -> dict[str, Tensor]:
        return load_tensors(self.context.folder(self) / f"{IMAGES}.safetensors")


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
        return Images(data.train.images, tuple(data.mean), tuple(data.std))

    def targets(self) -> Tensor:
        return self._context.data.train.targets
