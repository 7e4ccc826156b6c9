"""Batches of an epoch, formed on the device from random numbers that are drawn for the whole epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from infer.config.training import Crop
from infer.data.on_demand import OnDemand
from infer.errors import UsageError
from infer.ranks import ranks
from infer.training.augment import crop_and_flip, pad_with_black, pick, resized_crop_and_flip, shuffled_lines
from infer.training.division import Division
from infer.training.draws import Draws, EpochDraws
from infer.training.images import Images
from infer.training.mixing import cut_and_paste, mix, share_kept
from infer.training.plan import Plan
from infer.training.prefetch import prefetched


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one update of the weights, or a part of them."""

    images: Tensor
    """float32 [B, 3, H, W], normalised, augmented, mixed, channels_last; reduced in size under progressive resizing."""
    index: Tensor
    """int64 [B]: row of each image in the training set."""
    partner: Tensor | None
    """int64 [B]: row in the training set of the image that is mixed in; None without mixing."""
    weight: float
    """Weight of the images ``index``; those of ``partner`` have 1 - weight. It is 1.0 without mixing. With CutMix it is
    the remaining share of the area, which exceeds the random weight where the box was cut off at an edge."""
    epoch: int = 0
    """Epoch whose random numbers the batch uses."""
    first: int = 0
    """Position of the first image in that epoch's order."""
    division: Division | None = None
    """Division over the ranks of all images that pass the network together with these; None with one rank."""
    pieces: "tuple[Batch, ...]" = ()
    """This rank's images of every part of the batch; empty with one rank."""

    def parts(self, size: int) -> Iterator["Batch"]:
        """The batch in parts of ``size`` images.

        The last part holds the remaining images. A single remaining image joins the part before it, since batch norm
        cannot use it alone.
        """
        if self.pieces:
            yield from self.pieces
            return
        count = len(self.index)
        if count <= size:
            yield self
            return
        for rows in _parts_of(count, size):
            yield self.rows(rows, self.first + rows.start)

    def rows(self, rows: slice, first: int) -> "Batch":
        """The images ``rows`` of the batch; ``first`` is the position of the first of them in the epoch's order."""
        partner = None if self.partner is None else self.partner[rows]
        return replace(self, images=self.images[rows], index=self.index[rows], partner=partner, first=first)

    def at_size(self, size: int) -> "Batch":
        """The batch with its images resized to ``size`` x ``size`` pixels."""
        if size == self.images.shape[-1]:
            return self
        return replace(self, images=interpolate(self.images, (size, size), mode="bilinear", antialias=True))


def _parts_of(count: int, size: int) -> list[slice]:
    """Slices of the parts into which ``Batch.parts`` divides ``count`` images."""
    bounds = [*range(0, count, size), count]
    if count > size and bounds[-1] - bounds[-2] == 1 < size:
        bounds.pop(-2)
    return list(starmap(slice, pairwise(bounds)))


@dataclass(frozen=True, eq=False)
class _ImagesOfRank:
    """Images of a batch that this rank needs: those that it passes through the network, then their partners in mixing.

    Partners that this rank passes as well are not repeated.
    """

    needed: Tensor
    """int64 [n]: positions of the needed images in the epoch's order."""
    partner: Tensor | None
    """int64 [n]: index into ``needed`` of each image's partner; partners that do not pass have themselves."""
    pieces: list[tuple[slice, int, Division]]
    """For every part of the batch: rows of ``needed``, position of the first in the epoch's order, and division."""

    @classmethod
    def of(cls, draws: EpochDraws, rows: slice, part_size: int) -> "_ImagesOfRank":
        """This rank's images of the batch ``rows``, which passes the network in parts of ``part_size``."""
        pieces, positions, count = [], [], 0
        for part in _parts_of(rows.stop - rows.start, part_size):
            division = Division.of(part.stop - part.start)
            first, shown = rows.start + part.start + division.shown.start, division.shown.stop - division.shown.start
            pieces.append((slice(count, count + shown), first, division))
            positions.append(torch.arange(first, first + shown))
            count += shown
        own = torch.cat(positions)
        if draws.partner is None:
            return cls(own, None, pieces)
        partner = rows.start + draws.partner[own]
        needed = torch.cat([own, partner[~torch.isin(partner, own)]])
        place = torch.empty(rows.stop - rows.start, dtype=torch.int64)
        place[needed - rows.start] = torch.arange(len(needed))
        return cls(needed, torch.cat([place[partner - rows.start], torch.arange(count, len(needed))]), pieces)


class _Canvas(NamedTuple):
    """Padded images, which contain those of a batch."""

    images: Tensor
    """[n, H', W', 3], padded with black, on the device."""
    rows: Tensor
    """int64 [B]: row in ``images`` of each image of the batch."""


class BatchSource:
    """Source of the batches of any epoch.

    It holds a padded copy of the training set on the images' device; images on demand are loaded ahead of their batch
    instead. Raises UsageError where the images cannot be divided into the patches that are to be shuffled.
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
                " pixels do not divide into that many rows and columns of patches"
            )
        self._held = None if isinstance(images.pixels, OnDemand) else self._padded(images.pixels)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from batch ``first`` on; the last epoch ends where the plan does."""
        host_draws = self._draws.of(self._plan, epoch, self._size)
        draws = host_draws.to(self._images.pixels.device)
        batches = self._plan.batches[first : len(self._plan.steps_of(epoch))]
        source = self._draws.stored_epoch(epoch)
        size = self._plan.size_in(epoch, self._size[1])
        if ranks.count > 1:
            yield from self._divided(host_draws, draws, batches, source, first, size)
            return
        canvases = self._canvases(host_draws, draws, batches)
        for number, (rows, canvas) in enumerate(zip(batches, canvases, strict=True), start=first):
            yield self._batch(draws, rows, canvas, number, source).at_size(size)

    def _divided(
        self, host_draws: EpochDraws, draws: EpochDraws, batches: Sequence[slice], source: int, first: int, size: int
    ) -> Iterator[Batch]:
        """This rank's images of every part of ``batches``, mixed with partners from the whole batch."""
        shown = [_ImagesOfRank.of(host_draws, rows, self._plan.part_size) for rows in batches]
        canvases = self._canvases(host_draws, draws, [each.needed for each in shown])
        for number, (each, canvas) in enumerate(zip(shown, canvases, strict=True), start=first):
            whole = self._batch(draws, each.needed, canvas, number, source, each.partner).at_size(size)
            pieces = (replace(whole.rows(rows, place), division=division) for rows, place, division in each.pieces)
            yield replace(whole, pieces=tuple(pieces))

    def _canvases(
        self, host_draws: EpochDraws, draws: EpochDraws, batches: Sequence[slice | Tensor]
    ) -> Iterator[_Canvas]:
        """The canvas of each of ``batches``, which are positions in the epoch's order."""
        if self._held is None:
            return prefetched(self._load, [host_draws.order[rows] for rows in batches])
        held = self._held
        return (_Canvas(held, draws.order[rows]) for rows in batches)

    def _load(self, index: Tensor) -> _Canvas:
        """A canvas with only the images ``index``, loaded on demand."""
        images = self._images.pixels[index]
        return _Canvas(self._padded(images), torch.arange(len(index), device=images.device))

    def _padded(self, pixels: Tensor) -> Tensor:
        return pad_with_black(pixels, self._images.black, self._padding)

    def _batch(
        self,
        draws: EpochDraws,
        rows: slice | Tensor,
        canvas: _Canvas,
        number: int,
        epoch: int,
        partner: Tensor | None = None,
    ) -> Batch:
        """Batch ``number`` of ``epoch``: the images ``rows`` of the epoch's order, mixed.

        ``partner`` are indices into ``rows`` of the images to mix with; None: the partners in ``draws``.
        """
        first = rows.start if isinstance(rows, slice) else 0
        index, images = draws.order[rows], self._augmented(draws, rows, canvas)
        if draws.partner is None:
            return Batch(images, index, None, 1.0, epoch, first)
        partner = draws.partner[rows] if partner is None else partner.to(index.device)
        weight = draws.weights[number]
        if draws.boxes is None:
            images = mix(images, partner, weight)
        else:
            box = draws.boxes[number]
            images, weight = cut_and_paste(images, partner, box), share_kept(box, self._size)
        return Batch(images, index, index[partner], weight, epoch, first)

    def _augmented(self, draws: EpochDraws, rows: slice | Tensor, canvas: _Canvas) -> Tensor:
        """Cropped and flipped images before mixing: float32, normalised."""
        top, left, flip = draws.top[rows], draws.left[rows], draws.flip[rows]
        lines = self._lines(draws, rows)
        if draws.height is None or draws.width is None:
            return self._images.normalised(crop_and_flip(*canvas, top, left, flip, self._size, lines))
        whole = canvas.images[canvas.rows].permute(0, 3, 1, 2) if lines is None else pick(*canvas, *lines)
        height, width = draws.height[rows], draws.width[rows]
        return resized_crop_and_flip(self._images.normalised(whole), top, left, height, width, flip)

    def _lines(self, draws: EpochDraws, rows: slice | Tensor) -> tuple[Tensor, Tensor] | None:
        """Order of the canvas's rows and columns where patches are shuffled; None where they are not."""
        if draws.patch_rows is None or draws.patch_columns is None:
            return None
        height, width = self._size
        return (
            shuffled_lines(draws.patch_rows[rows], height, self._padding),
            shuffled_lines(draws.patch_columns[rows], width, self._padding),
        )
