"""The format ``infer`` 1 of distilled sets: a folder of safetensors files and a manifest that describes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.utils.data import Dataset

from infer.data.paths import possible
from infer.distilled.codec import EXACT
from infer.distilled.compose import (
    compose,
    composed_targets,
    round_compensators,
    unround_compensators,
)
from infer.distilled.manifest import FORMAT, FORMAT_VERSION, infer_folder, lists, read_manifest
from infer.distilled.soft_labels import as_logits, require_soft_labels
from infer.errors import UsageError
from infer.files import listing, sha256, write_sealed
from infer.normalisation import Normalisation
from infer.records.names import COMPENSATORS, IMAGES, LABELS, MANIFEST, NATURAL, tensor_file
from infer.store.files import load_tensors, save_tensors
from infer.words import expanded


class DistilledSet(Dataset[tuple[Tensor, int] | tuple[Tensor, int, Tensor]]):
    """A distilled set in memory.

    Item i is (image [3, H, W], int class) or, where the set has ``logits``, (image, class, logits [C]). Images are
    float32 and normalised.
    """

    def __init__(self, images: Tensor, targets: Tensor, logits: Tensor | None, manifest: Mapping[str, Any]) -> None:
        self.images = images
        """float32 [N, 3, H, W], normalised with ``mean`` and ``std`` of the manifest's data set."""
        self.targets = targets
        """int64 [N]: class of each image."""
        self.logits = logits
        """float32 [N, C]: the teachers' mean logits, or the soft labels of an imported set (for probabilities, their
        logarithms). None with hard and dynamic labels, and with FKD labels, which belong to batches."""
        self.manifest = manifest

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int] | tuple[Tensor, int, Tensor]:
        item = self.images[index], int(self.targets[index])
        return item if self.logits is None else (*item, self.logits[index])

    @property
    def classes(self) -> list[str]:
        """Names of the classes; targets are indices into this list."""
        return list(self.manifest["dataset"]["classes"])


def write_composable(folder: Path, natural: Tensor, compensators: Tensor, dtype: str, manifest: dict[str, Any]) -> None:
    """Write natural images, uint8, and compensators, float32, which are rounded to ``dtype``.

    Shapes are those of ``compose``.
    """
    save_tensors(folder / tensor_file(NATURAL), {NATURAL: natural})
    save_tensors(folder / tensor_file(COMPENSATORS), round_compensators(compensators, dtype))
    write_manifest(folder, manifest)


def write_images(folder: Path, images: Tensor, targets: Tensor, manifest: dict[str, Any]) -> None:
    """Write finished images uint8 [N, 3, H, W] and their classes int64 [N]."""
    save_tensors(folder / tensor_file(IMAGES), {IMAGES: images, "targets": targets})
    write_manifest(folder, manifest)


def write_labels(folder: Path, logits: Tensor) -> None:
    """Write the teachers' mean logits [N, C] as float16."""
    save_tensors(folder / tensor_file(LABELS), {"logits": logits.half()})


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest`` with the checksums of the folder's tensor files, which must be complete."""
    header = {"format": FORMAT, "version": FORMAT_VERSION}
    write_sealed(folder / MANIFEST, header | manifest | {"files": listing(folder.glob("*.safetensors"))})


def load(path: str | Path) -> DistilledSet:
    """Open a distilled set that a run has written (``<run>/distilled``, or the run's folder).

    Raises UsageError where there is no set, or where a file was changed after it was written.
    """
    given = possible(Path(expanded(str(path))))
    folder = infer_folder(given) or given
    manifest = read_manifest(folder)
    verify(folder, manifest)
    try:
        images, targets = _read_images(folder, manifest)
        logits = _read_logits(folder, manifest, len(targets))
    except (SafetensorError, OSError, KeyError) as error:
        raise _not_a_set(folder, f"{type(error).__name__}: {error}") from error
    return DistilledSet(images, targets, logits, manifest)


def read_parts(folder: Path) -> tuple[Tensor, Tensor]:
    """Natural images, uint8 [K, C, 3, H, W], and stored compensators as float32, with shapes as in ``compose``."""
    natural = load_tensors(folder / tensor_file(NATURAL))[NATURAL]
    return natural, unround_compensators(load_tensors(folder / tensor_file(COMPENSATORS)))


def read_soft_labels(folder: Path, manifest: Mapping[str, Any]) -> Tensor | None:
    """Soft labels [N, C] in the dtype in which they are stored; None where the set has none."""
    return load_tensors(folder / tensor_file(LABELS))["logits"] if lists(manifest, LABELS) else None


def verify(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise UsageError unless the files in ``folder`` have the checksums in ``manifest``."""
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file() or sha256(file) != expected["sha256"]:
            raise UsageError(f"{file} is missing or not what was written; make the set again: python launch.py")


def _read_images(folder: Path, manifest: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    normalisation = Normalisation.of(manifest["dataset"]["mean"], manifest["dataset"]["std"])
    num_classes = len(manifest["dataset"]["classes"])
    if lists(manifest, IMAGES):
        stored = load_tensors(folder / tensor_file(IMAGES))
        images, targets = stored[IMAGES], stored["targets"]
        are_images = images.dtype == torch.uint8 and images.dim() == 4 and images.shape[1] == 3
        if not are_images or targets.shape != images.shape[:1]:
            raise _not_a_set(folder, f"images {list(images.shape)} of {images.dtype}, targets {list(targets.shape)}")
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < num_classes:
            raise _not_a_set(folder, f"targets {int(targets.min())} to {int(targets.max())} of {num_classes} classes")
        return normalisation.normalise(images), targets.to(torch.int64)
    natural, compensators = read_parts(folder)
    per_class = compensators.shape[1:3] if compensators.dim() == 6 else (*compensators.shape[1:2], num_classes)
    if natural.dim() != 5 or tuple(natural.shape[:2]) != tuple(per_class) or natural.shape[1] != num_classes:
        raise _not_a_set(folder, f"natural images {list(natural.shape)}, compensators {list(compensators.shape)}")
    subsets, classes = natural.shape[:2]
    targets = composed_targets(subsets, len(compensators) + 1, classes)
    return compose(natural, compensators, normalisation, manifest.get("composed_codec", EXACT)), targets


def _read_logits(folder: Path, manifest: Mapping[str, Any], num_images: int) -> Tensor | None:
    logits = read_soft_labels(folder, manifest)
    if logits is None:
        return None
    require_soft_labels(logits, num_images, len(manifest["dataset"]["classes"]), folder)
    return as_logits(logits)


def _not_a_set(folder: Path, found: str) -> UsageError:
    return UsageError(f"{folder} holds tensors that are not a distilled set ({found}). Make it again: python launch.py")
