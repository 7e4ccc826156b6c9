"""Distilled sets of other programs: copied into the store once, then labelled and trained on like any other."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from infer.distilled.manifest import infer_folder, lists, read_manifest
from infer.files import content_digest
from infer.methods.sets.base import DistilledArtefact
from infer.records.names import LABELS, tensor_file


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


def stored_shape(file: Path, name: str) -> list[int]:
    """Shape of a stored tensor, without reading its values."""
    with safe_open(file, framework="pt") as opened:
        shape: list[int] = opened.get_slice(name).get_shape()
    return shape
