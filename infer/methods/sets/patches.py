"""Image patches of RDED: the crops of real images that a teacher finds most realistic, and images tiled from them.

Of some random crops of every image the one with the lowest cross-entropy is kept, the best of a class are its patches,
and factor² patches make an image (Sun et al., CVPR 2024). Nothing is optimised.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.context import Context
from infer.errors import UsageError
from infer.methods.rded import RdedMethod
from infer.methods.sets.image_set import DistilledImages
from infer.methods.sets.teacher_outputs import TeacherOutputs, class_groups
from infer.ranges import consecutive
from infer.seeds import generator
from infer.store import Artefact
from infer.teachers.teacher import Teacher
from infer.training.execution import memory_format_of
from infer.training.images import Images
from infer.training.random_resized_crop import crop_sizes
from infer.training.resampling import resized_crops

_CROPS_PER_BATCH = 256


class CropScores(TeacherOutputs):
    """Best crop of each scored image, at most ``images_per_class`` of a class, and its cross-entropy."""

    kind = "crops"

    def __init__(self, context: Context, method: RdedMethod, teacher: Teacher, classes: range) -> None:
        super().__init__(context, teacher, classes)
        self._method = method

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "seed": self.context.config.seed, **self._method.signature_settings}

    def outputs_for(self, network: nn.Module, target: int) -> dict[str, Tensor]:
        index, squares = self._draw_crops(target)
        images = Images(self.context.data.train.only(index).images, self.context.data.normalisation)
        losses = crop_losses(network, images, squares, self._patch_size, target, self.context.device)
        lowest = losses.min(dim=1)
        return {
            "index": index,
            "square": squares[torch.arange(len(index)), lowest.indices],
            "cross_entropy": lowest.values,
        }

    def best_patches(self, target: int, count: int) -> Tensor:
        """The ``count`` best crops of class ``target``, best first: uint8 [count, 3, p, p], p the size of a patch."""
        scores = self.of_class(target)
        best = scores["cross_entropy"].sort(stable=True).indices[:count]
        pixels = self.context.data.train.images[scores["index"][best]].float()
        patches = resized_crops(pixels, scores["square"][best].unsqueeze(1), self._patch_size)
        return patches.squeeze(1).round().clamp(0, 255).to(torch.uint8)

    def _draw_crops(self, target: int) -> tuple[Tensor, Tensor]:
        """Indices of the images of a class that are scored, int64 [n], and their crops, int64 [n, crops, 3].

        The crops of image i are row i of the class's random stream, so fewer images are the first of more.
        """
        seed, method, data = self.context.config.seed, self._method, self.context.data
        of_class = data.class_indices[target]
        order = generator(seed, "scored images", target).permutation(len(of_class))[: method.images_per_class]
        uniform = generator(seed, "scored crops", target).random((len(order), method.crops, 3))
        return of_class[torch.from_numpy(order)], square_crops(uniform, data.image_size, method.scale_min)

    @property
    def _patch_size(self) -> int:
        return self.context.data.image_size // self._method.factor


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
                f"an image of its own, but of the smallest class {scored} are scored "
                f"(method.images_per_class or all there are). Type ipc={max(1, scored // self._factor**2)} or less"
            )


def square_crops(uniform: np.ndarray, image_size: int, scale_min: float) -> Tensor:
    """Random square crops (top, left, side) in pixels, int64 [..., 3], from numbers ``uniform`` [..., 3] in [0, 1).

    RandomResizedCrop with ``scale=(scale_min, 1), ratio=(1, 1)`` on square images, with crops of at least one pixel.
    Every square fits into the image, so one draw is enough.
    """
    area, *corner = np.moveaxis(uniform, -1, 0)
    share = np.maximum(scale_min + (1 - scale_min) * area, 1 / image_size**2)
    side, _, _ = crop_sizes(share.reshape(1, -1), np.ones((1, share.size)), (image_size, image_size), ratio_max=1)
    side = side.reshape(share.shape)
    top, left = (np.floor(position * (image_size - side + 1)).astype(np.int64) for position in corner)
    return torch.from_numpy(np.stack([top, left, side], axis=-1))


def crop_losses(
    network: nn.Module, images: Images, squares: Tensor, patch_size: int, target: int, device: torch.device
) -> Tensor:
    """Cross-entropy of ``network`` with class ``target`` on each of ``squares`` [n, crops, 3]: [n, crops], on the CPU.

    A crop is resized to ``patch_size`` and zero-padded to the size of the image after normalising, so that the border
    has the mean colour.
    """
    images_per_batch = max(1, _CROPS_PER_BATCH // squares.shape[1])
    layout, margin = memory_format_of(network), images.pixels.shape[-1] - patch_size
    border = [margin // 2, margin - margin // 2] * 2
    losses = []
    rows = [slice(part.start, part.stop) for part in consecutive(len(images), images_per_batch)]
    with torch.no_grad():
        for pixels, boxes in zip(images.chunks(rows), torch.split(squares, images_per_batch), strict=True):
            crops = resized_crops(images.normalised(_moved(pixels, device)), _moved(boxes, device), patch_size)
            batch = F.pad(crops.flatten(0, 1), border).contiguous(memory_format=layout)
            batch_losses = -network(batch).float().log_softmax(1)[:, target]
            losses.append(batch_losses.view(boxes.shape[:2]))
    return torch.cat(losses).cpu()


def tile(patches: Tensor, factor: int) -> Tensor:
    """Images [n, 3, factor·p, factor·p] of factor² patches each, out of ``patches`` [factor²·n, 3, p, p], best first.

    Position k of image i, counted row by row, holds patch k·n + i, as in the published code: every image has one of the
    best n patches, one of the next n, and so on.
    """
    grid = torch.unflatten(patches, 0, (factor, factor, -1))
    return grid.permute(2, 3, 0, 4, 1, 5).flatten(4, 5).flatten(2, 3)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, copied without blocking the CPU where that is a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
