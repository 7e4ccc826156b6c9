"""Distilled sets as pictures use them: stored images, and images composed as for students."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from infer.distilled.codec import EXACT, JPEG, through_jpeg
from infer.records.artefacts import StoredArtefact
from infer.records.names import COMPENSATORS, DISTILLED, IMAGES, LABELS, NATURAL, tensor_file
from infer.records.run import Run


@dataclass(frozen=True)
class FinishedImages:
    """Distilled set that is stored as images."""

    images: np.ndarray
    """uint8 [N, H, W, 3]."""
    targets: np.ndarray
    """[N]."""

    def first_of(self, classes: Sequence[int], most: int) -> list[np.ndarray]:
        """The first ``most`` images of each of ``classes``, or fewer: uint8 [n, H, W, 3] for each class."""
        return [self.images[self.targets == c][:most] for c in classes]


@dataclass(frozen=True)
class ComposableImages:
    """Distilled set that is stored as natural subsets and compensators."""

    natural: np.ndarray
    """uint8 [K, C, 3, H, W]."""
    compensators: np.ndarray
    """float32 [M, K, C or 1, 3, H, W] in normalised units."""
    archs: Sequence[str] | None
    """Architectures of the M teachers; None for an imported set."""
    std: Sequence[float]
    codec: str

    @property
    def teacher_names(self) -> Sequence[str]:
        """Architectures of the teachers if they are known, otherwise their numbers."""
        return self.archs or [f"teacher {teacher + 1}" for teacher in range(len(self.compensators))]

    def natural_images(self, k: int, classes: Sequence[int]) -> np.ndarray:
        """Images of ``classes`` in subset ``k`` as students see them: [n, H, W, 3], uint8 or float in [0, 1]."""
        return seen(self.natural[k, classes], self.codec)

    def composed_images(self, k: int, teacher: int, classes: Sequence[int]) -> np.ndarray:
        """The same images with a teacher's compensator: float [n, H, W, 3] in [0, 1]; uint8 with a lossy codec."""
        u = self.compensators[teacher, k]
        return composed(self.natural[k, classes], u if len(u) == 1 else u[classes], self.std, self.codec)

    def image(self, position: int) -> tuple[np.ndarray, int, int, int]:
        """The composed image at ``position``, [H, W, 3], with its subset, its block (0: natural) and its class."""
        teachers, classes = len(self.compensators), self.natural.shape[1]
        rest, target = divmod(position, classes)
        k, block = divmod(rest, teachers + 1)
        images = self.composed_images(k, block - 1, [target]) if block else self.natural_images(k, [target])
        return images[0], k, block, target


def stored_images(run: Run) -> FinishedImages | ComposableImages | None:
    """The distilled set of ``run``; None where it has not been made."""
    manifest = run.manifest
    if not manifest:
        return None
    stored = StoredArtefact(run.folder / DISTILLED, manifest)
    if tensor_file(IMAGES) in stored.files:
        tensors = load_file(stored.file(tensor_file(IMAGES)))
        return FinishedImages(channels_last(tensors[IMAGES]), tensors["targets"])
    natural = load_file(stored.file(tensor_file(NATURAL)))[NATURAL]
    teachers = manifest.get("teachers")
    return ComposableImages(
        natural,
        _stored_compensators(load_file(stored.file(tensor_file(COMPENSATORS))), natural.shape[-1]),
        None if teachers is None else [teacher["arch"] for teacher in teachers],
        manifest["dataset"]["std"],
        manifest.get("composed_codec", EXACT),
    )


def stored_logits(run: Run) -> np.ndarray | None:
    """Logits stored with the distilled set of ``run``, float32 [N, C], in the order of its images; None without."""
    stored = StoredArtefact(run.folder / DISTILLED, run.manifest or {"files": {}})
    name = tensor_file(LABELS)
    tensors = load_file(stored.file(name)) if name in stored.files else {}
    return tensors["logits"].astype(np.float32) if "logits" in tensors else None


def class_names(manifest: Mapping[str, Any]) -> list[str]:
    """Readable names of the classes."""
    return list(manifest["dataset"].get("class_titles") or manifest["dataset"]["classes"])


def composed(natural: np.ndarray, u: np.ndarray, std: Sequence[float], codec: str = EXACT) -> np.ndarray:
    """``natural`` uint8 [..., 3, H, W] plus ``u`` in normalised units, as students see it: see ``seen``."""
    return seen((natural / 255 + u * np.reshape(std, (3, 1, 1))).clip(0, 1), codec)


def seen(images: np.ndarray, codec: str) -> np.ndarray:
    """``images`` [..., 3, H, W] after compression by ``codec``, as [..., H, W, 3]; uint8 or float in [0, 1]."""
    if codec == JPEG:
        images = through_jpeg(images if images.dtype == np.uint8 else images * 255)
    return channels_last(images)


def displayed_compensator(u: np.ndarray) -> np.ndarray:
    """0.5 + u / (2 max|u|) for ``u`` [3, H, W] in normalised units, as float [H, W, 3]; grey where u is zero."""
    largest = max(float(np.abs(u).max()), float(np.finfo(u.dtype).tiny))
    return channels_last(0.5 + u / (2 * largest))


def channels_last(images: np.ndarray) -> np.ndarray:
    """[..., 3, H, W] as [..., H, W, 3]."""
    return np.moveaxis(images, -3, -1)


def _stored_compensators(tensors: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Compensators, float32 [M, K, C or 1, 3, size, size], from stored values and, for int8, scales of channels."""
    values: np.ndarray = tensors[COMPENSATORS].astype(np.float32)
    if "scales" in tensors:
        values = values * tensors["scales"][..., None, None]
    if values.ndim == 5:  # one for all classes
        values = values[:, :, None]
    return values if values.shape[-1] == size else _enlarged(values, size)


def _enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """``values`` float32 [..., h, h] resized to [..., size, size], bilinear as in ``infer.distilled.compose``."""
    large = np.empty((*values.shape[:-2], size, size), np.float32)
    for place in np.ndindex(values.shape[:-2]):
        large[place] = Image.fromarray(values[place]).resize((size, size), Image.Resampling.BILINEAR)
    return large
