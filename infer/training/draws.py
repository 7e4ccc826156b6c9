"""The random numbers of an epoch, generated at once on the CPU, or read from stored FKD batches."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infer.config.training import Crop, Training
from infer.distilled.fkd_files import EPOCHS_PER_FILE, read_draws
from infer.seeds import StreamKey, generator
from infer.training.mixing import Box, draw_boxes, draw_partners, draw_weights
from infer.training.plan import Plan
from infer.training.random_resized_crop import ATTEMPTS, crop_sizes


@dataclass(frozen=True, eq=False)
class EpochDraws:
    """Every random number of an epoch; the tensors have one entry per image shown."""

    order: Tensor
    """int64: rows of the training set in the order in which they are shown."""
    top: Tensor
    """int64: the crop's first row, in the padded image where there is a border."""
    left: Tensor
    """int64: its first column."""
    height: Tensor | None
    """int64: rows of a crop that is resized; None: as many as the image has."""
    width: Tensor | None
    """int64: its columns."""
    flip: Tensor
    """bool: True where the crop is mirrored."""
    patch_rows: Tensor | None
    """int64 [shown, patches]: the row of patches of the image that each row of patches shows; None: unshuffled."""
    patch_columns: Tensor | None
    """int64 [shown, patches]: the same for columns."""
    partner: Tensor | None
    """int64: position, within its batch, of the image mixed in."""
    weights: list[float]
    """One mixing weight per batch."""
    boxes: list[Box] | None
    """CutMix's box of each batch; None without CutMix."""

    def to(self, device: torch.device) -> "EpochDraws":
        """The same draws with the tensors on ``device``."""
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def crop_boxes(self, padding: int, size: tuple[int, int]) -> Tensor:
        """Top, left, height and width of every crop in pixels of the image without its border: int64 [shown, 4].

        ``padding`` is the border that crops of the images' own ``size`` (H, W) are cut from.
        """
        if self.height is not None and self.width is not None:
            return torch.stack([self.top, self.left, self.height, self.width], dim=1)
        height, width = (torch.full_like(self.top, length) for length in size)
        return torch.stack([self.top - padding, self.left - padding, height, width], dim=1)


@dataclass(frozen=True)
class Draws:
    """The source of a training's draws: their stream, and the epochs after which they begin again."""

    stream: StreamKey
    cycle: int | None = None
    """Epochs after which the draws of the first come again; None: never."""

    def of(self, plan: Plan, epoch: int, size: tuple[int, int]) -> EpochDraws:
        """The draws of ``epoch`` for images of ``size`` (H, W)."""
        return draw_epoch(plan, self.stream, self.stored_epoch(epoch), size)

    def stored_epoch(self, epoch: int) -> int:
        """The epoch whose draws ``epoch`` uses."""
        return epoch if self.cycle is None else epoch % self.cycle


@dataclass(frozen=True)
class StoredDraws(Draws):
    """Draws that are read from stored FKD batches instead of being drawn from a seed."""

    folders: tuple[str, ...] = ()
    """Folder of the files of the first ten epochs, of the next ten, ..."""

    def of(self, plan: Plan, epoch: int, size: tuple[int, int]) -> EpochDraws:
        """The draws of ``epoch``; the plan says from which border crops are cut, or that they are resized."""
        epoch = self.stored_epoch(epoch)
        stored = read_draws(Path(self.folders[epoch // EPOCHS_PER_FILE]), epoch)
        height: Tensor | None
        width: Tensor | None
        top, left, height, width = stored["crops"].unbind(dim=1)
        if plan.settings.crop is Crop.padded:
            top, left, height, width = top + plan.settings.crop_padding, left + plan.settings.crop_padding, None, None
        return EpochDraws(
            order=stored["index"],
            top=top,
            left=left,
            height=height,
            width=width,
            flip=stored["flip"],
            patch_rows=stored.get("patch_rows"),
            patch_columns=stored.get("patch_columns"),
            partner=stored.get("partner"),
            weights=stored["weight"].tolist() if "weight" in stored else [1.0] * plan.steps_per_epoch,
            boxes=[tuple(box) for box in stored["cut_box"].tolist()] if "cut_box" in stored else None,
        )


def draw_epoch(plan: Plan, stream: StreamKey, epoch: int, size: tuple[int, int]) -> EpochDraws:
    """The random numbers of ``epoch`` (from 0), which depend on nothing else than the arguments.

    ``size`` is the images' (H, W). An image that joins a single one in the last batch (`Plan.batch_sizes`) is the first
    of the epoch's order, with a crop of its own.
    """
    rng, settings = generator(*stream, epoch), plan.settings
    shown = plan.images_per_epoch
    order = rng.permutation(plan.num_images)
    order = np.append(order, order[: shown - plan.num_images])
    top, left, height, width = _crops(rng, shown, settings, size)
    flip = rng.random(shown) < 0.5 if settings.flip else np.zeros(shown, dtype=bool)
    partner, weights, boxes = _mixing(rng, plan, size)
    patch_rows, patch_columns = _patch_orders(rng, shown, settings.shuffle_patches)
    return EpochDraws(
        order=torch.from_numpy(order),
        top=top,
        left=left,
        height=height,
        width=width,
        flip=torch.from_numpy(flip),
        patch_rows=patch_rows,
        patch_columns=patch_columns,
        partner=partner,
        weights=weights,
        boxes=boxes,
    )


def _crops(
    rng: np.random.Generator, shown: int, settings: Training, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Top, left, height and width of ``shown`` crops, as ``EpochDraws`` has them."""
    if settings.crop is Crop.resized:
        top, left, height, width = map(torch.from_numpy, _resized_crops(rng, shown, settings, size))
        return top, left, height, width
    top, left = torch.from_numpy(rng.integers(0, 2 * settings.crop_padding + 1, size=(2, shown)))
    return top, left, None, None


def _mixing(
    rng: np.random.Generator, plan: Plan, size: tuple[int, int]
) -> tuple[Tensor | None, list[float], list[Box] | None]:
    """Partners, weights and boxes, as ``EpochDraws`` has them."""
    if plan.mix_alpha is None:
        return None, [1.0] * plan.steps_per_epoch, None
    partner = torch.from_numpy(draw_partners(rng, plan.batch_sizes))
    weights = draw_weights(rng, plan.steps_per_epoch, plan.mix_alpha)
    return partner, weights, draw_boxes(rng, weights, size) if plan.cutmix else None


def _patch_orders(rng: np.random.Generator, shown: int, patches: int) -> tuple[Tensor | None, Tensor | None]:
    """An order of ``patches`` rows and one of as many columns for every image, int64 [shown, patches]."""
    if patches == 1:
        return None, None
    unshuffled = np.broadcast_to(np.arange(patches), (2, shown, patches))
    rows, columns = rng.permuted(unshuffled, axis=-1)
    return torch.from_numpy(rows), torch.from_numpy(columns)


def _resized_crops(
    rng: np.random.Generator, shown: int, settings: Training, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Top, left, height and width of ``shown`` crops, int64 each, distributed as torchvision's RandomResizedCrop."""
    share = rng.uniform(settings.crop_scale_min, 1, (ATTEMPTS, shown))
    limit = np.log(settings.crop_ratio_max)
    ratio = np.exp(rng.uniform(-limit, limit, (ATTEMPTS, shown)))
    height, width, fits = crop_sizes(share, ratio, size, settings.crop_ratio_max)
    top, left = rng.integers(0, size[0] - height + 1), rng.integers(0, size[1] - width + 1)
    top = np.where(fits, top, (size[0] - height) // 2)
    left = np.where(fits, left, (size[1] - width) // 2)
    return top, left, height, width
