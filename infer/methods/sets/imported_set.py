"""Distilled sets of other programs: copied into the store once, then labelled and trained on like any other."""

import shutil
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from infer.context import Context
from infer.data.paths import expand
from infer.distilled.codec import EXACT
from infer.distilled.compose import compose, composed_targets
from infer.distilled.folder import read_parts, read_soft_labels, verify, write_manifest
from infer.distilled.manifest import infer_folder, lists, read_manifest
from infer.files import content_digest
from infer.formats.catalogue import find_format
from infer.formats.foreign_set import ForeignSet, require_finite
from infer.formats.infer_folder import read_folder, require_classes, require_size
from infer.methods.budget import ipc_charged
from infer.methods.sets.base import Block, Bytes, DistilledArtefact
from infer.methods.sets.image_set import DistilledImages
from infer.normalisation import channelwise
from infer.records.names import COMPENSATORS, IMAGES, LABELS, NATURAL, tensor_file
from infer.store import Workspace
from infer.store.files import load_tensors, save_tensors
from infer.training.images import Images


def imported_set(context: Context, given_path: str, given_format: str) -> "ImportedSet":
    """The set at ``given_path``; raises UsageError where there is none, or none of the run's data set."""
    path = expand(given_path)
    folder = infer_folder(path)
    if folder is not None and lists(read_manifest(folder), COMPENSATORS):
        return ImportedComposition(context, folder)
    return ImportedImages(context, folder or path, given_format)


class ImportedSet(DistilledArtefact):
    """A set that was made elsewhere, with the soft labels that came with it."""

    path: Path
    """Folder or file that it was read from."""

    @property
    @abstractmethod
    def soft_labels(self) -> Tensor | None:
        """float [N, C] as they were written, in the order of the images; None where there are none."""

    @property
    def soft_label_settings(self) -> Mapping[str, Any]:
        """Settings that the soft labels depend on, besides the set itself."""
        folder = infer_folder(self.path)
        if folder is None or not lists(read_manifest(folder), LABELS):
            return {}
        return {"files": content_digest([folder / tensor_file(LABELS)], folder)}


class ImportedImages(DistilledImages, ImportedSet):
    """Finished images in any format that can be read; values that are not bytes are rounded to bytes."""

    method = "imported"

    def __init__(self, context: Context, path: Path, given_format: str) -> None:
        self.context = context
        self.path = path
        if infer_folder(path):
            self._format, files = "infer", [path / tensor_file(IMAGES)]
        else:
            self._format, form = find_format(path, given_format)
            files = form.files(path)
        self._digest = content_digest(files, path)
        stored = context.store.folder(self) / tensor_file(IMAGES)
        num_images = _shape(stored, IMAGES)[0] if context.store.exists(self) else len(self._finished)
        super().__init__(context, num_images // context.data.num_classes)
        self._num_images = num_images  # classes may differ in size

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-imported-{self._format}"

    @property
    def num_images(self) -> int:
        return self._num_images

    @property
    def ipc_charged(self) -> float:
        return self.num_images / self.context.data.num_classes

    @property
    def size_text(self) -> str:
        return f"{self.num_images} imported images"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": self.method,
            "data": self.context.data.fingerprint,
            "format": self._format,
            "files": self._digest,
        }

    @property
    def manifest(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "source": self._format,
            "dataset": self.dataset_manifest,
            "sizes": {"N": self.num_images, "C": self.context.data.num_classes},
            "bytes": {"natural": self.bytes.natural},
            "ipc_charged": self.ipc_charged,
        }

    def finished_images(self) -> tuple[Tensor, Tensor]:
        data, console = self.context.data, self.context.console
        images, loss = self._finished.as_bytes(data.normalisation)
        for note in self._finished.notes:
            console.say(f"{self.path}: {note}")
        if loss:
            console.say(f"{self.path}: taken to be normalised as {data.name} is (else: infer import), {loss.in_words}")
        return images, self._finished.targets

    @property
    def soft_labels(self) -> Tensor | None:
        return self._finished.soft_labels

    @cached_property
    def _finished(self) -> ForeignSet:
        data = self.context.data
        if self._format == "infer":
            finished = read_folder(self.path)[0]
        else:
            finished = find_format(self.path, self._format)[1].read(self.path, data.num_classes)
        require_classes(self.path, finished, data.classes, data.name)
        require_size(self.path, finished, data.image_size, data.name)
        return finished


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
        self._subsets, classes, _, size, _ = _shape(folder / tensor_file(NATURAL), NATURAL)
        self._blocks = _shape(folder / tensor_file(COMPENSATORS), COMPENSATORS)[0] + 1
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
        stored = load_tensors(self.path / compensators)
        for values in stored.values():
            require_finite(values, "compensator of teacher", self.path / compensators)
        ratio = channelwise(self._source["dataset"]["std"]) / channelwise(self.context.data.std)
        if "scales" in stored:
            stored["scales"] = stored["scales"] * ratio.flatten()
        else:
            stored["compensators"] = (stored["compensators"].float() * ratio).to(stored["compensators"].dtype)
        save_tensors(workspace.folder / compensators, stored)
        kept = {
            key: self._source[key]
            for key in ("sizes", "compensator_dtype", "bytes", "ipc_charged", "composed_codec", "jpeg_library")
            if key in self._source
        }
        write_manifest(
            workspace.folder, {"method": "imported", "source": "infer", "dataset": self.dataset_manifest} | kept
        )
        return {"ipc_charged": self.ipc_charged}

    @property
    def blocks(self) -> list[Block]:
        return self.as_one_block(f"imported-M{self._blocks - 1}-K{self._subsets}", self._composed)

    def images(self) -> Images:
        return Images(self._composed(), self.context.data.normalisation)

    def targets(self) -> Tensor:
        return composed_targets(self._subsets, self._blocks, self.context.data.num_classes)

    def _composed(self) -> Tensor:
        return compose(*read_parts(self.context.folder(self)), self.context.data.normalisation, self._codec)


def _shape(file: Path, name: str) -> list[int]:
    """Shape of a stored tensor, without reading its values."""
    with safe_open(file, framework="pt") as opened:
        shape: list[int] = opened.get_slice(name).get_shape()
    return shape


def _payload(file: Path) -> int:
    """Bytes of all tensors in ``file``."""
    return sum(tensor.numel() * tensor.element_size() for tensor in load_tensors(file).values())
