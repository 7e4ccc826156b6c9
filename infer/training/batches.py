"""The batches of an epoch, formed on the device from the random numbers of the whole epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from infer.config.training import Crop
from infer.data.on_demand import OnDemand
from infer.errors import UsageError
from infer.training.augment import crop_and_flip, pad_with_black, pick, resized_crop_and_flip, shuffled_lines
from infer.training.draws import Draws, EpochDraws
from infer.training.images import Images
from infer.training.mixing import cut_and_paste, mix, share_kept
from infer.training.plan import Plan
from infer.training.prefetch import prefetched


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one update of the weights, or a part of them."""

    images: Tensor
    """float32 [B, 3, H, W], normalised, augmented and mixed, channels_last."""
    index: Tensor
    """int64 [B]: each image's row in the training set."""
    partner: Tensor | None
    """int64 [B]: the row in the training set of the image mixed in; None without mixing."""
    weight: float
    """Share of the image ``index``; the partner's is 1 - weight. 1.0 without mixing. CutMix: its remaining share of the
    area, which exceeds the random weight where the box reached over the edge."""
    epoch: int = 0
    """Epoch whose draws it uses."""
    first: int = 0
    """Position of its first image in that epoch's order."""

    def parts(self, size: int) -> Iterator["Batch"]:
        """The batch in parts of ``size`` images, the last of what is left; a single image left joins the part before
        it, as batch norm cannot use it alone."""
        count = len(self.index)
        if count <= size:
            yield self
            return
        bounds = [*range(0, count, size), count]
        if bounds[-1] - bounds[-2] == 1 < size:
            bounds.pop(-2)
        for start, stop in pairwise(bounds):
            rows = slice(start, stop)
            partner = None if self.partner is None else self.partner[rows]
            yield replace(
                self, images=self.images[rows], index=self.index[rows], partner=partner, first=self.first + start
            )


class _Canvas(NamedTuple):
    """Padded images that contain those of a batch."""

    images: Tensor
    """Padded with black: [n, H', W', 3], on the device."""
    rows: Tensor
    """int64 [B]: the row of each image of the batch."""


class BatchSource:
    """The batches of any epoch, from a padded copy of the training set on its device, or from images on demand, which
    are loaded one batch ahead.

    Raises UsageError when the images cannot be divided into the patches that are to be shuffled.
    """

    def __init__(self, images: Images, plan: Plan, draws: Draws) -> None:
        settings = plan.settings
        self._images = images
        height, width = images.pixels.shape[2:]
        self._size = (height, width)
        self._padding = 0 if settings.crop is Crop.resized else settings.crop_padding
        self._plan = plan
        self._draws = draws
        if any(length % settings.shuffle_patches for length in self._size):
            raise UsageError(
                f"shuffle_patches={settings.shuffle_patches} is not possible: images of {self._size[0]}x{self._size[1]}"
                " pixels do not divide into so many rows and columns of patches"
            )
        self._held = None if isinstance(images.pixels, OnDemand) else self._padded(images.pixels)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from batch ``first`` on, as many of them as the plan takes."""
        host_draws = self._draws.of(self._plan, epoch, self._size)
        draws = host_draws.to(self._images.pixels.device)
        bounds = pairwise(accumulate(self._plan.batch_sizes, initial=0))
        batches = [slice(start, stop) for start, stop in islice(bounds, first, len(self._plan.steps_of(epoch)))]
        source = self._draws.stored_epoch(epoch)
        canvases: Iterator[_Canvas]
        if self._held is None:
            canvases = prefetched(self._load, [host_draws.order[rows] for rows in batches])
        else:
            canvases = (_Canvas(self._held, draws.order[rows]) for rows in batches)
        for number, (rows, canvas) in enumerate(zip(batches, canvases, strict=True), start=first):
            yield self._batch(draws, rows, canvas, number, source)

    def _load(self, index: Tensor) -> _Canvas:
        """A canvas of the images ``index`` alone, of a set on demand."""
        images = self._images.pixels[index]
        return _Canvas(self._padded(images), torch.arange(len(index), device=images.device))

    def _padded(self, pixels: Tensor) -> Tensor:
        return pad_with_black(pixels, self._images.black, self._padding)

    def _batch(self, draws: EpochDraws, rows: slice, canvas: _Canvas, number: int, epoch: int) -> Batch:
        index, images = draws.order[rows], self._augmented(draws, rows, canvas)
        if draws.partner is None:
            return Batch(images, index, None, 1.0, epoch, rows.start)
        partner, weight = draws.partner[rows], draws.weights[number]
        if draws.boxes is None:
            images = mix(images, partner, weight)
        else:
            box = draws.boxes[number]
            images, weight = cut_and_paste(images, partner, box), share_kept(box, self._size)
        return Batch(images, index, index[partner], weight, epoch, rows.start)

    def _augmented(self, draws: EpochDraws, rows: slice, canvas: _Canvas) -> Tensor:
        """Cropped and flipped images, not mixed yet: float32, normalised."""
        top, left, flip = draws.top[rows], draws.left[rows], draws.flip[rows]
        lines = self._lines(draws, rows)
        if draws.height is None or draws.width is None:
            return self._images.normalised(crop_and_flip(*canvas, top, left, flip, self._size, lines))
        whole = canvas.images[canvas.rows].permute(0, 3, 1, 2) if lines is None else pick(*canvas, *lines)
        height, width = draws.height[rows], draws.width[rows]
        return resized_crop_and_flip(self._images.normalised(whole), top, left, height, width, flip)

    def _lines(self, draws: EpochDraws, rows: slice) -> tuple[Tensor, Tensor] | None:
        """Rows and columns of the canvas in the order that shuffled patches give them; None where they stay."""
        if draws.patch_rows is None or draws.patch_columns is None:
            return None
        height, width = self._size
        return (
            shuffled_lines(draws.patch_rows[rows], height, self._padding),
            shuffled_lines(draws.patch_columns[rows], width, self._padding),
        )
