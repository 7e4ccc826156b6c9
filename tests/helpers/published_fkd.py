"""FKD label folders as SRe2L's relabeling leaves them, written from their description and sharing nothing with the
package: crops as torchvision draws them, numpy scalars where the published code has them, torch's own sampler."""

from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from torch import Tensor
from torch.utils.data import BatchSampler, RandomSampler
from torchvision.transforms import RandomResizedCrop

Batch = list
"""[coords, flip, mix_index, mix_lam, mix_bbox, logits] and, perhaps, the indices and the order of the patches."""


def write_folder(
    root: Path, targets: Tensor, mix: str, size: int = 8, batch_size: int = 16, epochs: int = 3, items: int = 6
) -> list[list[tuple[list[int], Batch]]]:
    """Labels of images of classes ``targets``; gives the rows and the content of every batch, epoch by epoch."""
    drawn = np.random.default_rng(0)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(42)
    batches = BatchSampler(RandomSampler(range(len(targets)), generator=generator), batch_size, drop_last=False)
    written = []
    for epoch in range(epochs):
        (root / f"epoch_{epoch}").mkdir(parents=True)
        written.append([(rows, _batch(drawn, targets, rows, mix, size)) for rows in batches])
        for number, (_, batch) in enumerate(written[-1]):
            torch.save(batch[:items], root / f"epoch_{epoch}" / f"batch_{number}.tar")
    return written


def applied(images: Tensor, rows: list[int], batch: Batch) -> Tensor:
    """Images that the labels are of: ``images`` float [N, 3, H, H] cropped, mirrored and mixed one by one."""
    coords, flip, mix_index, mix_lam, mix_bbox = batch[:5]
    size = images.shape[-1]
    crops = []
    for row, box, mirrored in zip(rows, (coords * size).tolist(), flip.tolist(), strict=True):
        crop = F.resized_crop(images[row], *(round(edge) for edge in box), [size, size])
        crops.append(F.hflip(crop) if mirrored else crop)
    seen = torch.stack(crops)
    if mix_index is None:
        return seen
    if mix_bbox is None:
        return mix_lam * seen + (1 - mix_lam) * seen[mix_index]
    x1, y1, x2, y2 = mix_bbox
    seen[:, :, x1:x2, y1:y2] = seen.clone()[mix_index, :, x1:x2, y1:y2]
    return seen


def _batch(drawn: np.random.Generator, targets: Tensor, rows: list[int], mix: str, size: int) -> Batch:
    count, num_classes = len(rows), int(targets.max()) + 1
    crops = [RandomResizedCrop.get_params(torch.empty(3, size, size), (0.2, 1), (3 / 4, 4 / 3)) for _ in rows]
    lam = drawn.beta(1.0, 1.0)
    partner = torch.from_numpy(drawn.permutation(count))
    shown = torch.tensor(rows)
    leading = shown if mix == "none" or lam >= 0.5 else shown[partner]
    logits = torch.from_numpy(drawn.normal(0, 1, (count, num_classes)))
    logits[torch.arange(count), targets[leading]] += 4
    return [
        torch.tensor(crops, dtype=torch.float32) / size,
        torch.from_numpy(drawn.random(count) < 0.5),
        None if mix == "none" else partner,
        None if mix == "none" else float(lam),
        _box(drawn, lam, size) if mix == "cutmix" else None,
        logits.half(),
        shown,
        torch.from_numpy(drawn.permuted(np.tile([0, 1], (count, 2, 1)), axis=-1)),
    ]


def _box(drawn: np.random.Generator, lam: float, size: int) -> list:
    """Numpy's integers, rows first."""
    edge = int(size * np.sqrt(1 - lam))
    x, y = drawn.integers(0, size, 2)
    corners = (x - edge // 2, y - edge // 2, x + edge // 2, y + edge // 2)
    return [np.clip(corner, 0, size) for corner in corners]
