"""FKD labels: batches as they were drawn, with the logits that teachers gave them, and the form they have in common.

``infer.distilled.fkd_files`` writes and reads them. Integers are stored in the smallest type that holds them, and what
a form of batches has no use for is left out, so their size follows from the form alone.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from infer.config.evaluate import Mix
from infer.config.training import Crop

TensorForms = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and type of tensors by name."""

LOGITS, DRAWS = "logits", "draws"
"""Parts of stored batches."""
_UNSIGNED = (torch.uint8, torch.int16, torch.int32)
_SIGNED = (torch.int8, torch.int16, torch.int32)
STORED_INTEGERS = (*_UNSIGNED, *_SIGNED)
"""Types of stored tensors that are int64 in ``FkdBatch``."""


@dataclass(frozen=True, eq=False)
class FkdBatch:
    """One batch: how it is made from the images of a set, and the logits it was labelled with; tensors on the CPU."""

    index: Tensor
    """int64 [B]: rows of the set."""
    crops: Tensor
    """int64 [B, 4]: top, left, height, width of the crop in pixels of the image, enlarged to its size. With
    ``evaluate.crop=padded`` it has the image's size and reaches over the edge into black."""
    flip: Tensor
    """bool [B]: whether the crop is mirrored left to right."""
    patch_rows: Tensor | None
    """int64 [B, n]: before the crop, the row of patches of the image that each row shows; None: unshuffled."""
    patch_columns: Tensor | None
    """int64 [B, n]: the same for columns."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image mixed in; None without mixing."""
    weight: float
    """Share of the image itself as drawn; CutMix's is not corrected to the area of the box. 1.0 without mixing."""
    cut_box: tuple[int, int, int, int] | None
    """Top, left, bottom, right of the part that CutMix takes from the partner, after crop and flip; None otherwise."""
    logits: Tensor
    """float16 or float32 [B, C], or [B, k] where only the k highest are stored."""
    classes: Tensor | None
    """int64 [B, k]: the classes of ``logits``; None where all are stored, in order."""

    @property
    def mix(self) -> Mix:
        """Kind of mixing."""
        if self.partner is None:
            return Mix.none
        return Mix.mixup if self.cut_box is None else Mix.cutmix


@dataclass(frozen=True)
class FkdForm:
    """Form that stored batches have in common: the settings they were made with, and so the types of their tensors.

    ``mix``, ``crop``, ``crop_padding``, ``flip`` and ``shuffle_patches`` mean the same as in ``evaluate``.
    """

    num_images: int
    image_size: int
    num_classes: int
    batch_sizes: tuple[int, ...]
    """Sizes of the batches of one epoch."""
    mix: Mix
    crop: Crop
    crop_padding: int
    """Pixels by which crops reach over the edges of the image, at most."""
    flip: bool
    shuffle_patches: int = 1
    topk: int | None = None
    """Logits stored of each image; None: all classes'."""
    logits: str = "float16"
    """Type of the logits."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The form that ``facts`` were taken of."""
        parsed = {"batch_sizes": tuple(facts["batch_sizes"]), "mix": Mix(facts["mix"]), "crop": Crop(facts["crop"])}
        return cls(**{**facts, **parsed})

    def facts(self) -> dict[str, Any]:
        """The form as JSON holds it."""
        return asdict(self) | {"mix": self.mix.value, "crop": self.crop.value, "batch_sizes": list(self.batch_sizes)}

    @property
    def images_per_epoch(self) -> int:
        """Images shown in an epoch."""
        return sum(self.batch_sizes)

    @property
    def bytes_per_epoch(self) -> int:
        """Exact bytes of the tensors of one epoch."""
        tensors = (tensor for part in (LOGITS, DRAWS) for tensor in self.tensors_of(part).values())
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in tensors)

    def tensors_of(self, part: str) -> TensorForms:
        """Shape of one epoch and type of every tensor of ``part`` (logits or draws)."""
        return self._stored_logits() if part == LOGITS else self._stored_draws()

    def _stored_logits(self) -> TensorForms:
        per_image = self.images_per_epoch, self.topk or self.num_classes
        stored: TensorForms = {"logits": (per_image, getattr(torch, self.logits))}
        if self.topk is not None:
            stored["classes"] = per_image, _smallest(_UNSIGNED, self.num_classes - 1)
        return stored

    def _stored_draws(self) -> TensorForms:
        shown, batches = self.images_per_epoch, len(self.batch_sizes)
        pixels = _smallest(_SIGNED, max(self.image_size, self.crop_padding))
        stored: TensorForms = {
            "index": ((shown,), _smallest(_UNSIGNED, self.num_images - 1)),
            "crops": ((shown, 4), pixels),
            "flip": ((shown,), torch.bool),
        }
        if self.mix is not Mix.none:
            stored["partner"] = (shown,), _smallest(_UNSIGNED, max(self.batch_sizes) - 1)
            stored["weight"] = (batches,), torch.float64
        if self.mix is Mix.cutmix:
            stored["cut_box"] = (batches, 4), pixels
        if self.shuffle_patches > 1:
            order = (shown, self.shuffle_patches), _smallest(_UNSIGNED, self.shuffle_patches - 1)
            stored |= {"patch_rows": order, "patch_columns": order}
        return stored


def _smallest(types: Iterable[torch.dtype], largest: int) -> torch.dtype:
    return next(dtype for dtype in types if largest <= torch.iinfo(dtype).max)
