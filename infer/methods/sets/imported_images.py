"""Imported sets of finished images."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from infer.context import Context
from infer.distilled.manifest import infer_folder
from infer.files import content_digest
from infer.formats.catalogue import find_format
from infer.formats.foreign_set import ForeignSet
from infer.formats.infer_folder import read_folder, require_classes, require_size
from infer.methods.sets.image_set import DistilledImages
from infer.methods.sets.imported_set import ImportedSet, stored_shape
from infer.records.names import IMAGES, tensor_file


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
        num_images = stored_shape(stored, IMAGES)[0] if context.store.exists(self) else len(self._finished)
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
