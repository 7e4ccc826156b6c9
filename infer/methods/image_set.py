"""A distilled set of finished images: every method but INFER ends with one."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from infer.context import Context
from infer.distilled.folder import write_images
from infer.methods.base import Block, Bytes, DistilledArtefact
from infer.methods.budget import image_bytes
from infer.records.names import IMAGES
from infer.store import Workspace
from infer.store.files import load_tensors
from infer.training.images import Images


class DistilledImages(DistilledArtefact):
    """``per_class`` images of each class, stored as bytes and labelled as one block.

    A method is a subclass that says its name (``method``), what the content depends on (``settings``, ``parents``) and
    what the images are (``finished_images``).
    """

    method: ClassVar[str]

    def __init__(self, context: Context, per_class: int) -> None:
        super().__init__(context)
        self.per_class = per_class
        self.num_images = self.stored_images = per_class * context.data.num_classes
        self.ipc_charged = per_class
        self.in_words = f"{per_class} images per class"

    @abstractmethod
    def finished_images(self) -> tuple[Tensor, Tensor]:
        """The images uint8 [N, 3, H, W] and their classes int64 [N], class by class; called once, to store them."""

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-{self.method}-{self.per_class}"

    @property
    def manifest(self) -> dict[str, Any]:
        """What is said of the set beside its images."""
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
    def bytes(self) -> Bytes:
        return Bytes(natural=self.num_images * image_bytes(self.context.data.image_size))

    @property
    def blocks(self) -> list[Block]:
        data = self.context.data
        return self.as_one_block(
            f"{self.method}-{self.per_class}", lambda: data.normalisation.normalise(self._stored()[IMAGES])
        )

    def images(self) -> Images:
        data = self.context.data
        return Images(self._stored()[IMAGES], data.normalisation)

    def targets(self) -> Tensor:
        return self._stored()["targets"]

    def _stored(self) -> dict[str, Tensor]:
        return load_tensors(self.context.folder(self) / f"{IMAGES}.safetensors")
