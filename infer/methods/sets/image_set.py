"""Distilled sets that consist of finished images: the result of every method except INFER."""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from infer.context import Context
from infer.distilled.folder import write_images
from infer.methods.budget import image_bytes
from infer.methods.sets.base import Block, Bytes, DistilledArtefact
from infer.records.names import IMAGES, tensor_file
from infer.store import Workspace
from infer.store.files import load_tensors
from infer.training.images import Images


class DistilledImages(DistilledArtefact):
    """``per_class`` images of each class, stored as uint8 and labelled as one block.

    A method defines a subclass with its name (``method``), the settings and artefacts that the content depends on
    (``settings``, ``parents``) and the images (``finished_images``).
    """

    method: str

    def __init__(self, context: Context, per_class: int) -> None:
        super().__init__(context)
        self.per_class = per_class

    @abstractmethod
    def finished_images(self) -> tuple[Tensor, Tensor]:
        """Images uint8 [N, 3, H, W] and their classes int64 [N], class by class; called once, to store them."""

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-{self.method}-{self.per_class}"

    @property
    def num_images(self) -> int:
        return self.per_class * self.context.data.num_classes

    @property
    def stored_images(self) -> int:
        return self.num_images

    @property
    def ipc_charged(self) -> float:
        return self.per_class

    @property
    def size_text(self) -> str:
        return f"{self.per_class} images per class"

    @property
    def bytes(self) -> Bytes:
        return Bytes(natural=self.num_images * image_bytes(self.context.data.image_size))

    @property
    def manifest(self) -> dict[str, Any]:
        """Description of the set that is stored beside the images."""
        return {
            "method": self.method,
            "dataset": self.dataset_manifest,
            "sizes": {"N": self.num_images, "C": self.context.data.num_classes, "per_class": self.per_class},
            "seed": self.context.config.seed,
            "bytes": {"natural": self.bytes.natural},
            "ipc_charged": self.ipc_charged,
        }

    def make(self, workspace: Workspace) -> dict[str, Any]:
        images, targets = self.finished_images()
        write_images(workspace.folder, images, targets, self.manifest)
        return {"images": len(targets)}

    @property
    def blocks(self) -> list[Block]:
        data = self.context.data
        return self.as_one_block(
            f"{self.method}-{self.per_class}", lambda: data.normalisation.normalise(self._stored()[IMAGES])
        )

    def images(self) -> Images:
        return Images(self._stored()[IMAGES], self.context.data.normalisation)

    def targets(self) -> Tensor:
        return self._stored()["targets"]

    def _stored(self) -> dict[str, Tensor]:
        return load_tensors(self.context.folder(self) / tensor_file(IMAGES))
