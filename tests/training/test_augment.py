"""Resized crops, shuffled patches and CutMix against torchvision and against loops over single images."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from torchvision.transforms import RandomResizedCrop

from infer.config.training import Crop, Training
from infer.errors import UsageError
from infer.normalisation import Normalisation
from infer.training.augment import resized_crop_and_flip
from infer.training.batches import BatchSource
from infer.training.draws import Draws, draw_epoch
from infer.training.images import Images
from infer.training.mixing import draw_boxes, share_kept
from infer.training.plan import Plan

UNIT = (3, "student", "tiny", 0)
SIZE = HEIGHT, WIDTH = 12, 18
MEAN, STD = (0.45, 0.5, 0.55), (0.2, 0.25, 0.3)
NORMALISATION = Normalisation.of(MEAN, STD)
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def make_plan(num_images: int = 21, mix_alpha: float | None = None, cutmix: bool = False, **settings) -> Plan:
    return Plan(Training(**{"epochs": 3, "batch_size": 8} | settings), num_images, mix_alpha=mix_alpha, cutmix=cutmix)


def random_images(kind: str, count: int = 21) -> tuple[Images, torch.Tensor]:
    """A set stored as ``kind``, and the same images normalised."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 3, *SIZE), generator=rng, dtype=torch.uint8)
    normalised = F.normalize(pixels / 255, list(MEAN), list(STD))
    return Images(pixels if kind == "uint8" else normalised, NORMALISATION), normalised


def shown(images: Images, plan: Plan, epoch: int = 0) -> torch.Tensor:
    return torch.cat([batch.images for batch in BatchSource(images, plan, Draws(UNIT)).epoch(epoch)])


def test_resized_crops_are_torchvisions_at_every_box():
    images = torch.rand(200, 3, *SIZE)
    rng = np.random.default_rng(0)
    height, width = rng.integers(1, HEIGHT + 1, 200), rng.integers(1, WIDTH + 1, 200)
    top, left = rng.integers(0, HEIGHT - height + 1), rng.integers(0, WIDTH - width + 1)
    flip = rng.random(200) < 0.5
    got = resized_crop_and_flip(images, *map(torch.from_numpy, (top, left, height, width, flip)))
    for image, crop, *box, mirrored in zip(images, got, top, left, height, width, flip, strict=True):
        expected = F.resized_crop(image, *map(int, box), list(SIZE), antialias=True)
        torch.testing.assert_close(crop, F.hflip(expected) if mirrored else expected, **CLOSE)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_an_epoch_of_resized_crops_is_torchvisions(kind):
    images, normalised = random_images(kind)
    plan = make_plan(crop=Crop.resized, crop_scale_min=0.3)
    draws = draw_epoch(plan, UNIT, 1, SIZE)
    boxes = draws.crop_boxes(0, SIZE)
    expected = [
        F.resized_crop(normalised[row], *box, list(SIZE)) for row, box in zip(draws.order, boxes.tolist(), strict=True)
    ]
    expected = [F.hflip(image) if flip else image for image, flip in zip(expected, draws.flip, strict=True)]
    torch.testing.assert_close(shown(images, plan, epoch=1), torch.stack(expected), **CLOSE)


@pytest.mark.parametrize("scale_min, ratio_max", [(0.08, 4 / 3), (0.5, 4 / 3), (1, 4 / 3), (0.2, 1), (0.9, 1)])
def test_boxes_are_distributed_as_torchvisions(scale_min, ratio_max):
    count, image = 4000, torch.empty(3, *SIZE)
    plan = make_plan(num_images=count, crop=Crop.resized, crop_scale_min=scale_min, crop_ratio_max=ratio_max)
    drawn = draw_epoch(plan, UNIT, 0, SIZE).crop_boxes(0, SIZE).double()
    torch.manual_seed(0)
    params = [RandomResizedCrop.get_params(image, [scale_min, 1.0], [1 / ratio_max, ratio_max]) for _ in range(count)]
    expected = torch.tensor(params).double()
    assert drawn.min() >= 0
    assert (drawn[:, 0] + drawn[:, 2]).max() <= HEIGHT and (drawn[:, 1] + drawn[:, 3]).max() <= WIDTH
    noise = 5 * expected.std(dim=0) / count**0.5 + 1e-9
    assert ((drawn.mean(dim=0) - expected.mean(dim=0)).abs() < 2**0.5 * noise).all()
    torch.testing.assert_close(drawn.std(dim=0), expected.std(dim=0), rtol=0.1, atol=0.02)


def test_a_square_image_at_scale_one_is_left_as_it_is():
    """RDED's RandomResizedCrop with factor 1, which its preset writes as no crop at all."""
    plan = make_plan(num_images=500, crop=Crop.resized, crop_scale_min=1)
    boxes = draw_epoch(plan, UNIT, 0, (32, 32)).crop_boxes(0, (32, 32))
    assert (boxes == torch.tensor([0, 0, 32, 32])).all()


def shuffled(image: torch.Tensor, rows: list[int], columns: list[int]) -> torch.Tensor:
    """Patch by patch."""
    patches = [
        [part.chunk(len(columns), dim=-1)[c] for c in columns]
        for part in (image.chunk(len(rows), dim=-2)[r] for r in rows)
    ]
    return torch.cat([torch.cat(row, dim=-1) for row in patches], dim=-2)


@pytest.mark.parametrize("patches", [2, 3])
@pytest.mark.parametrize("crop", list(Crop))
def test_patches_are_shuffled_before_the_crop(patches, crop):
    images, normalised = random_images("uint8")
    plan = make_plan(shuffle_patches=patches, crop=crop, crop_padding=2, crop_scale_min=0.4)
    draws = draw_epoch(plan, UNIT, 0, SIZE)
    expected = []
    for n, row in enumerate(draws.order):
        image = shuffled(normalised[row], draws.patch_rows[n].tolist(), draws.patch_columns[n].tolist())
        if crop is Crop.resized:
            image = F.resized_crop(image, *draws.crop_boxes(0, SIZE)[n].tolist(), list(SIZE))
        else:
            black = F.normalize(torch.zeros(3, HEIGHT + 4, WIDTH + 4), list(MEAN), list(STD))
            black[:, 2:-2, 2:-2] = image
            image = F.crop(black, int(draws.top[n]), int(draws.left[n]), *SIZE)
        expected.append(F.hflip(image) if draws.flip[n] else image)
    torch.testing.assert_close(shown(images, plan), torch.stack(expected), **CLOSE)


def test_every_order_of_patches_occurs():
    draws = draw_epoch(make_plan(num_images=800, shuffle_patches=2), UNIT, 0, SIZE)
    orders = torch.cat([draws.patch_rows, draws.patch_columns], dim=1).unique(dim=0, return_counts=True)
    assert len(orders[0]) == 4 and (orders[1] > 140).all()


def test_patches_that_do_not_divide_the_image_are_refused():
    images, _ = random_images("uint8")
    with pytest.raises(UsageError, match="shuffle_patches=5"):
        BatchSource(images, make_plan(shuffle_patches=5), Draws(UNIT))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_cutmix_takes_a_box_of_the_partner(kind):
    images, _ = random_images(kind)
    plain, mixed = make_plan(), make_plan(mix_alpha=1.0, cutmix=True)
    draws = draw_epoch(mixed, UNIT, 0, SIZE)
    whole = BatchSource(images, plain, Draws(UNIT)).epoch(0)
    for number, (before, batch) in enumerate(zip(whole, BatchSource(images, mixed, Draws(UNIT)).epoch(0), strict=True)):
        partner = draws.partner[number * 8 :][: len(batch.index)]
        top, left, bottom, right = draws.boxes[number]
        taken = torch.zeros(SIZE, dtype=torch.bool)
        taken[top:bottom, left:right] = True
        expected = torch.where(taken, before.images[partner], before.images)
        torch.testing.assert_close(batch.images, expected)
        assert torch.equal(batch.partner, batch.index[partner])
        assert batch.weight == pytest.approx(1 - taken.float().mean().item())


def test_boxes_have_the_area_that_their_weight_says_unless_cut_off():
    size, rng = (64, 96), np.random.default_rng(0)
    weights = rng.beta(1, 1, 3000).tolist()
    inside = 0
    for weight, box in zip(weights, draw_boxes(rng, weights, size), strict=True):
        top, left, bottom, right = box
        assert 0 <= top <= bottom <= 64 and 0 <= left <= right <= 96
        assert share_kept(box, size) >= weight - 1e-9
        if 0 < top and bottom < 64 and 0 < left and right < 96:
            inside += 1
            assert (bottom - top, right - left) == tuple(2 * (int(n * (1 - weight) ** 0.5) // 2) for n in size)
    assert inside > 400


def test_a_padded_crop_as_a_box_reaches_over_the_edge():
    draws = draw_epoch(make_plan(crop_padding=2), UNIT, 0, SIZE)
    boxes = draws.crop_boxes(2, SIZE)
    assert boxes[:, :2].min() == -2 and boxes[:, :2].max() == 2
    assert (boxes[:, 2:] == torch.tensor(SIZE)).all()
