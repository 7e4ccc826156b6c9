"""Cross-entropies of a teacher on random crops of real images, by which RDED chooses crops.

Where the images of a data set were resized from larger files, the crops are taken from the original files.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.context import Context
from infer.methods.rded import RdedMethod
from infer.methods.sets.square_crops import crops_of, square_crops, squares_within
from infer.methods.sets.teacher_outputs import TeacherOutputs
from infer.ranges import consecutive
from infer.ranks import ranks
from infer.seeds import generator
from infer.teachers.teacher import Teacher
from infer.training.execution import memory_format_of
from infer.training.images import Images
from infer.training.prefetch import prefetched
from infer.training.random_resized_crop import ATTEMPTS
from infer.training.resampling import resized_crops
from infer.work import Pass, Work

_CROPS_PER_BATCH = 256


class CropScores(TeacherOutputs):
    """Best crop, and its cross-entropy, of each of at most ``images_per_class`` images per class."""

    kind = "crops"

    def __init__(self, context: Context, method: RdedMethod, teacher: Teacher, classes: range) -> None:
        super().__init__(context, teacher, classes)
        self._method = method

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            **super().settings,
            "seed": self.context.config.seed,
            **self._method.signature_settings,
            **({"crops_of": "files"} if self.context.data.is_resized else {}),
        }

    def outputs_for(
        self, network: nn.Module, target: int, index: Tensor, on_images: Callable[[int], None]
    ) -> dict[str, Tensor]:
        scored = self._scored_files if self.context.data.is_resized else self._scored_images
        with ranks.together(1 < ranks.count <= len(index)):
            of_rank = scored(network, target, index, ranks.rows(len(index)), on_images)
            squares, losses = map(ranks.joined, of_rank)
        lowest = losses.min(dim=1)
        return {
            "index": index,
            "square": squares[torch.arange(len(index)), lowest.indices],
            "cross_entropy": lowest.values,
        }

    def best_patches(self, target: int, count: int) -> Tensor:
        """The ``count`` best crops of class ``target``, best first, as patches: uint8 [count, 3, p, p]."""
        scores = self.of_class(target)
        best = scores["cross_entropy"].sort(stable=True).indices[:count]
        rows, squares = scores["index"][best], scores["square"][best].unsqueeze(1)
        if self.context.data.is_resized:
            files = (image.float() for _, block in self._files(rows) for image in block)
            patches = torch.cat([crops_of(*pair, self._patch_size) for pair in zip(files, squares, strict=True)])
        else:
            pixels = self.context.data.train.images[rows].float()
            patches = resized_crops(pixels, squares, self._patch_size).squeeze(1)
        return patches.round().clamp(0, 255).to(torch.uint8)

    @property
    def work(self) -> Work:
        images = sum(min(count, self._method.images_per_class) for count in self.counts)
        together = max(1, _CROPS_PER_BATCH // self._method.crops) * self._method.crops
        passes = self.context.passes(Pass.forward, self.teacher.arch, images * self._method.crops, together)
        return Work([passes], name="crops of files" if self.context.data.is_resized else "crops")

    def images_of(self, target: int) -> Tensor:
        of_class = self.context.data.class_indices[target]
        order = generator(self.context.config.seed, "scored images", target).permutation(len(of_class))
        return of_class[torch.from_numpy(order[: self._method.images_per_class])]

    def _uniform(self, target: int, images: int, numbers: int) -> np.ndarray:
        """Random numbers in [0, 1): [images, crops, numbers].

        Image i uses row i of the class's random stream, so its numbers do not depend on the number of images.
        """
        return generator(self.context.config.seed, "scored crops", target).random((images, self._method.crops, numbers))

    def _scored_images(
        self, network: nn.Module, target: int, index: Tensor, rows: slice, on_images: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Crops int64 [n, crops, 3] of the images ``index[rows]`` and their cross-entropies [n, crops]."""
        data = self.context.data
        squares = square_crops(self._uniform(target, len(index), 3)[rows], data.image_size, self._method.scale_min)
        images = Images(data.train.only(index[rows]).images, data.normalisation)
        size, device = self._patch_size, self.context.device
        return squares, crop_losses(network, images, squares, size, target, device, on_images)

    def _scored_files(
        self, network: nn.Module, target: int, index: Tensor, rows: slice, on_images: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """The same for crops of the original files of the images; each file is decoded once."""
        data, device = self.context.data, self.context.device
        uniform = self._uniform(target, len(index), ATTEMPTS + 2)[rows]
        squares, losses = [], []
        for part, files in self._files(index[rows]):
            of_files = zip(uniform[part], files, strict=True)
            drawn = [squares_within(row, file.shape[-2:], self._method.scale_min) for row, file in of_files]
            seen = (Images(file.unsqueeze(0), data.normalisation).normalised(_moved(file, device)) for file in files)
            crops = torch.stack([crops_of(*pair, self._patch_size) for pair in zip(seen, drawn, strict=True)])
            losses.append(batch_losses(network, crops, data.image_size, target))
            squares += drawn
            on_images(len(squares))
        return torch.stack(squares), torch.cat(losses).cpu()

    def _files(self, rows: Tensor) -> Iterator[tuple[slice, list[Tensor]]]:
        """Batches of the original files of the training images ``rows``, uint8 [3, H, W], with their slices of it."""
        originals = self.context.data.train.originals
        assert originals is not None, "the images are resized"
        parts = _batches(len(rows), self._method.crops)
        return zip(parts, prefetched(lambda part: originals[rows[part]], parts), strict=True)

    @property
    def _patch_size(self) -> int:
        return self.context.data.image_size // self._method.factor


def crop_losses(
    network: nn.Module,
    images: Images,
    squares: Tensor,
    patch_size: int,
    target: int,
    device: torch.device,
    on_images: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Cross-entropies of ``network`` for class ``target`` on the crops ``squares`` [n, crops, 3] of ``images``.

    Returns [n, crops], on the CPU. A crop is resized to ``patch_size``; ``on_images`` is called with the number of
    images done.
    """
    rows = _batches(len(images), squares.shape[1])
    losses = []
    for part, pixels in zip(rows, images.chunks(rows), strict=True):
        crops = resized_crops(images.normalised(_moved(pixels, device)), _moved(squares[part], device), patch_size)
        losses.append(batch_losses(network, crops, images.pixels.shape[-1], target))
        on_images(part.stop)
    return torch.cat(losses).cpu()


def batch_losses(network: nn.Module, crops: Tensor, image_size: int, target: int) -> Tensor:
    """Cross-entropies of ``network`` for class ``target`` on normalised ``crops`` [b, n, 3, p, p]: [b, n].

    Crops are padded to ``image_size`` with zeros, which are the mean colour.
    """
    margin = image_size - crops.shape[-1]
    border = [margin // 2, margin - margin // 2] * 2
    batch = F.pad(crops.flatten(0, 1), border).contiguous(memory_format=memory_format_of(network))
    with torch.no_grad():
        losses: Tensor = -network(batch).float().log_softmax(1)[:, target]
    return losses.view(crops.shape[:2])


def _batches(images: int, crops: int) -> list[slice]:
    """Slices of ``images`` whose ``crops`` crops each pass the network together."""
    return [slice(part.start, part.stop) for part in consecutive(images, max(1, _CROPS_PER_BATCH // crops))]


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``; a copy to a GPU does not block the CPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
