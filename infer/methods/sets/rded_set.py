"""The distilled set of RDED: images tiled from the crops of real images that a teacher classifies best.

Of the random crops of an image, the one with the lowest cross-entropy is kept. The best crops of a class become its
patches, and factor² patches make an image (Sun et al., CVPR 2024). Nothing is optimised.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.errors import UsageError
from infer.methods.rded import RdedMethod
from infer.methods.sets.crop_scores import CropScores
from infer.methods.sets.image_set import DistilledImages
from infer.methods.sets.teacher_outputs import class_groups
from infer.store import Artefact
from infer.teachers.teacher import Teacher


class RdedSet(DistilledImages):
    """``per_class`` images of each class, each made of factor² patches."""

    method = "rded"

    def __init__(self, context: Context, method: RdedMethod, per_class: int, teacher: Teacher) -> None:
        super().__init__(context, per_class)
        self._factor = method.factor
        self._check_size()
        self._check_patches(min(method.images_per_class, min(context.data.train_counts)))
        groups = class_groups(context.data.num_classes)
        self._scores = [CropScores(context, method, teacher, classes) for classes in groups]

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"method": self.method, "data": self.context.data.fingerprint, "per_class": self.per_class}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"scores/{number}": scores for number, scores in enumerate(self._scores)}

    def finished_images(self) -> tuple[Tensor, Tensor]:
        count = self.per_class * self._factor**2
        images = [
            tile(part.best_patches(target, count), self._factor) for part in self._scores for target in part.classes
        ]
        return torch.cat(images), torch.arange(len(images)).repeat_interleave(self.per_class)

    def _check_size(self) -> None:
        size = self.context.data.image_size
        if size % self._factor:
            raise UsageError(
                f"method.factor={self._factor} does not divide {self.context.data.name}'s image size of {size} pixels: "
                "use a divisor, e.g. method.factor=1"
            )

    def _check_patches(self, scored: int) -> None:
        needed = self.per_class * self._factor**2
        if needed > scored:
            raise UsageError(
                f"ipc={self.per_class} needs {needed} patches of every class (method.factor={self._factor}), each from "
                f"a different image, but only {scored} images of the smallest class are scored "
                f"(method.images_per_class, or all of them). Type ipc={max(1, scored // self._factor**2)} or less"
            )


def tile(patches: Tensor, factor: int) -> Tensor:
    """Images [n, 3, factor·p, factor·p] of factor² patches each, from ``patches`` [factor²·n, 3, p, p], best first.

    Position k of image i, counted row by row, holds patch k·n + i, as in the published code, so that every image has
    one of the best n patches, one of the next n, and so on.
    """
    grid = torch.unflatten(patches, 0, (factor, factor, -1))
    return grid.permute(2, 3, 0, 4, 1, 5).flatten(4, 5).flatten(2, 3)
