"""Imported sets of natural images and compensators."""

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.distilled.codec import EXACT
from infer.distilled.compose import compose, composed_targets
from infer.distilled.folder import read_parts, read_soft_labels, verify, write_manifest
from infer.distilled.manifest import read_manifest
from infer.files import content_digest
from infer.formats.foreign_set import ForeignSet, require_finite
from infer.formats.infer_folder import require_classes, require_size
from infer.methods.budget import ipc_charged
from infer.methods.sets.base import Block, Bytes
from infer.methods.sets.imported_set import ImportedSet, stored_shape
from infer.normalisation import channelwise
from infer.records.names import COMPENSATORS, NATURAL, tensor_file
from infer.store import Workspace
from infer.store.files import load_tensors, save_tensors
from infer.training.images import Images

_KEPT = ("sizes", "compensator_dtype", "bytes", "ipc_charged", "composed_codec", "jpeg_library")
"""Entries of the manifest that stay as they are."""


class ImportedComposition(ImportedSet):
    """An ``infer`` folder of natural images and compensators, kept as it is and composed when it is used.

    ``bytes`` counts the stored images and compensators, not the composed images.
    """

    def __init__(self, context: Context, folder: Path) -> None:
        super().__init__(context)
        self.path = folder
        self._source = read_manifest(folder)
        verify(folder, self._source)
        self._codec = self._source.get("composed_codec", EXACT)
        data = context.data
        self._digest = content_digest([folder / tensor_file(NATURAL), folder / tensor_file(COMPENSATORS)], folder)
        self._subsets, classes, _, size, _ = stored_shape(folder / tensor_file(NATURAL), NATURAL)
        self._blocks = stored_shape(folder / tensor_file(COMPENSATORS), COMPENSATORS)[0] + 1
        outline = ForeignSet(
            torch.empty(1, 3, size, size), torch.tensor([classes - 1]), self._source["dataset"]["classes"]
        )
        require_classes(folder, outline, data.classes, data.name)
        require_size(folder, outline, data.image_size, data.name)

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-imported-M{self._blocks - 1}-K{self._subsets}"

    @property
    def num_images(self) -> int:
        return self.stored_images * self._blocks

    @property
    def stored_images(self) -> int:
        return self._subsets * self.context.data.num_classes

    @property
    def ipc_charged(self) -> float:
        counted = ipc_charged(self._subsets, self.context.data.num_classes, self._blocks - 1)
        return float(self._source.get("ipc_charged", counted))

    @property
    def size_text(self) -> str:
        return f"K={self._subsets} imported natural images per class and M={self._blocks - 1} compensators"

    @property
    def settings(self) -> Mapping[str, Any]:
        data, source = self.context.data, self._source["dataset"]
        return {
            "method": "imported",
            "data": data.fingerprint,
            "format": "infer",
            "files": self._digest,
            "normalised_by": {"mean": source["mean"], "std": source["std"]},
            **({"composed_codec": self._codec} if self._codec != EXACT else {}),
        }

    @property
    def soft_labels(self) -> Tensor | None:
        return read_soft_labels(self.path, self._source)

    @cached_property
    def bytes(self) -> Bytes:
        return Bytes(*(_payload(self.path / tensor_file(name)) for name in (NATURAL, COMPENSATORS)))

    def make(self, workspace: Workspace) -> dict[str, Any]:
        """Copy both files, with the compensators converted to the normalised units of the run's data set."""
        natural, compensators = tensor_file(NATURAL), tensor_file(COMPENSATORS)
        shutil.copyfile(self.path / natural, workspace.folder / natural)
        save_tensors(workspace.folder / compensators, self._converted(self.path / compensators))
        kept = {key: self._source[key] for key in _KEPT if key in self._source}
        write_manifest(
            workspace.folder, {"method": "imported", "source": "infer", "dataset": self.dataset_manifest} | kept
        )
        return {"ipc_charged": self.ipc_charged}

    def _converted(self, file: Path) -> dict[str, Tensor]:
        """The tensors of ``file``, in the normalised units of the run's data set."""
        stored = load_tensors(file)
        for values in stored.values():
            require_finite(values, "compensator of teacher", file)
        ratio = channelwise(self._source["dataset"]["std"]) / channelwise(self.context.data.std)
        if "scales" in stored:
            stored["scales"] = stored["scales"] * ratio.flatten()
        else:
            stored["compensators"] = (stored["compensators"].float() * ratio).to(stored["compensators"].dtype)
        return stored

    @property
    def blocks(self) -> list[Block]:
        return self.as_one_block(f"imported-M{self._blocks - 1}-K{self._subsets}", self._composed)

    def images(self) -> Images:
        return Images(self._composed(), self.context.data.normalisation)

    def targets(self) -> Tensor:
        return composed_targets(self._subsets, self._blocks, self.context.data.num_classes)

    def _composed(self) -> Tensor:
        return compose(*read_parts(self.context.folder(self)), self.context.data.normalisation, self._codec)


def _payload(file: Path) -> int:
    """Bytes of all tensors in ``file``."""
    return sum(tensor.numel() * tensor.element_size() for tensor in load_tensors(file).values())
