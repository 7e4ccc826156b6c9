"""Batches against a slow reference that augments one image at a time with torchvision."""

from dataclasses import replace

import pytest
import torch
import torchvision.transforms.functional as F

from infer.config.training import Training
from infer.normalisation import Normalisation
from infer.training.batches import BatchSource
from infer.training.draws import Draws, draw_epoch
from infer.training.growth import Growth
from infer.training.images import Images
from infer.training.plan import Plan

UNIT = (3, "student", "tiny", 0)
MEAN, STD = (0.45, 0.5, 0.55), (0.2, 0.25, 0.3)
NORMALISATION = Normalisation.of(MEAN, STD)
SIZE = HEIGHT, WIDTH = 6, 9  # not square, so that swapped axes show


def make_plan(num_images: int = 23, padding: int = 2, mix_alpha: float | None = None, **settings) -> Plan:
    settings = {"epochs": 3, "batch_size": 8} | settings
    return Plan(Training(crop_padding=padding, **settings), num_images, mix_alpha=mix_alpha)


def random_images(kind: str, count: int = 23) -> tuple[Images, torch.Tensor]:
    """A set stored as ``kind``, and the same images un-normalised, float in [0, 1]."""
    rng = torch.Generator().manual_seed(1)
    if kind == "uint8":
        pixels = torch.randint(0, 256, (count, 3, HEIGHT, WIDTH), generator=rng, dtype=torch.uint8)
        return Images(pixels, NORMALISATION), pixels / 255
    raw = torch.rand((count, 3, HEIGHT, WIDTH), generator=rng)
    return Images(F.normalize(raw, MEAN, STD), NORMALISATION), raw


def reference_epoch(raw: torch.Tensor, plan: Plan, epoch: int) -> torch.Tensor:
    """Every image of the epoch, in order: black border, crop, mirror, and only then normalised."""
    draws = draw_epoch(plan, UNIT, epoch, SIZE)
    images = []
    for row, top, left, flip in zip(draws.order, draws.top, draws.left, draws.flip, strict=True):
        image = F.pad(raw[row], [plan.settings.crop_padding] * 4, fill=0)
        image = F.crop(image, int(top), int(left), HEIGHT, WIDTH)
        images.append(F.normalize(F.hflip(image) if flip else image, MEAN, STD))
    return torch.stack(images)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("padding, flip", [(2, True), (0, True), (3, False), (0, False)])
def test_augmentation_is_torchvisions(kind, padding, flip):
    images, raw = random_images(kind)
    plan = make_plan(padding=padding, flip=flip)
    for epoch in range(3):
        batches = list(BatchSource(images, plan, Draws(UNIT)).epoch(epoch))
        got = torch.cat([batch.images for batch in batches])
        torch.testing.assert_close(got, reference_epoch(raw, plan, epoch), rtol=1e-5, atol=1e-6)
        assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(23))
        assert all(batch.partner is None and batch.weight == 1 for batch in batches)


@pytest.mark.parametrize("settings", [{}, {"crop": "resized"}, {"shuffle_patches": 3}])
def test_batches_are_float32_and_channels_last(settings):
    for kind in ("uint8", "float32"):
        images, _ = random_images(kind)
        for batch in BatchSource(images, make_plan(mix_alpha=0.8, **settings), Draws(UNIT)).epoch(0):
            assert batch.images.dtype == torch.float32
            assert batch.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("draws", [Draws(UNIT), Draws(UNIT, cycle=2)], ids=["drawn", "drawn again"])
def test_growing_images_are_the_whole_ones_made_smaller(draws):
    pixels = torch.randint(0, 256, (23, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    whole = make_plan(mix_alpha=0.8)
    images, growing = Images(pixels, NORMALISATION), replace(whole, growth=Growth(8, 0.0, 0.6))
    for epoch, size in enumerate([8, 12, 16]):
        several = [list(BatchSource(images, plan, draws).epoch(epoch)) for plan in (growing, whole)]
        for small, large in zip(*several, strict=True):
            assert small.images.shape == (len(large.index), 3, size, size)
            assert torch.equal(small.index, large.index) and small.weight == large.weight
            expected = F.resize(large.images, [size, size], antialias=True)
            torch.testing.assert_close(small.images, expected, rtol=1e-5, atol=1e-5)


def test_every_crop_and_both_mirrorings_occur():
    draws = draw_epoch(make_plan(num_images=2000, padding=2), UNIT, 0, SIZE)
    assert set(draws.top.tolist()) == set(draws.left.tolist()) == set(range(5))
    assert 0.45 < draws.flip.float().mean() < 0.55


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_mixup_blends_augmented_images_of_the_same_batch(kind):
    images, raw = random_images(kind)
    plan = make_plan(mix_alpha=0.8)
    augmented = reference_epoch(raw, plan, 1).split(8)
    draws = draw_epoch(plan, UNIT, 1, SIZE)
    for batch, plain, partner in zip(
        BatchSource(images, plan, Draws(UNIT)).epoch(1), augmented, draws.partner.split(8), strict=True
    ):
        expected = batch.weight * plain + (1 - batch.weight) * plain[partner]
        torch.testing.assert_close(batch.images, expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(batch.partner, batch.index[partner])
        assert sorted(batch.partner.tolist()) == sorted(batch.index.tolist())


def test_mixing_weights_follow_the_beta_distribution():
    weights = torch.tensor(draw_epoch(make_plan(num_images=16000, mix_alpha=0.8), UNIT, 0, SIZE).weights)
    assert weights.mean() == pytest.approx(0.5, abs=0.03)
    assert weights.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), abs=0.01)


def test_a_single_image_left_over_is_joined_by_the_first_of_the_order():
    images, _ = random_images("uint8", count=17)
    batches = list(BatchSource(images, make_plan(num_images=17, mix_alpha=0.8), Draws(UNIT)).epoch(0))
    assert [len(batch.index) for batch in batches] == [8, 8, 2]
    assert batches[-1].index[1] == batches[0].index[0]
    assert set(torch.cat([batch.index for batch in batches]).tolist()) == set(range(17))


@pytest.mark.parametrize("count, batch_size, sizes", [(1, 8, [1]), (3, 1, [1, 1, 1]), (8, 8, [8]), (5, 8, [5])])
def test_batch_sizes_at_the_edges(count, batch_size, sizes):
    images, _ = random_images("uint8", count=count)
    plan = make_plan(num_images=count, batch_size=batch_size)
    assert [len(batch.index) for batch in BatchSource(images, plan, Draws(UNIT)).epoch(0)] == sizes


@pytest.mark.parametrize(
    "count, sizes", [(17, [6, 6, 5]), (16, [8, 8]), (9, [5, 4]), (8, [8]), (1, [1])], ids=lambda value: str(value)
)
def test_even_batches_share_what_is_left(count, sizes):
    images, _ = random_images("uint8", count=count)
    plan = make_plan(num_images=count, batch_size=8, even_batches=True)
    batches = list(BatchSource(images, plan, Draws(UNIT)).epoch(0))
    assert [len(batch.index) for batch in batches] == sizes and plan.steps_per_epoch == len(sizes)
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(count))


def test_a_length_in_steps_ends_inside_an_epoch():
    images, _ = random_images("uint8")
    source = BatchSource(images, make_plan(epochs=None, steps=5), Draws(UNIT))
    assert [len(list(source.epoch(epoch))) for epoch in range(2)] == [3, 2]


def draws_equal(a, b) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("order", "top", "left", "flip", "partner"))


def test_draws_belong_to_unit_and_epoch_alone():
    plan = make_plan(mix_alpha=0.8)
    first = draw_epoch(plan, UNIT, 2, SIZE)
    for epoch in range(2):
        draw_epoch(plan, UNIT, epoch, SIZE)
    again = draw_epoch(plan, UNIT, 2, SIZE)
    assert draws_equal(first, again) and first.weights == again.weights
    for other in (
        draw_epoch(plan, UNIT, 1, SIZE),
        draw_epoch(plan, (4, *UNIT[1:]), 2, SIZE),
        draw_epoch(plan, (3, "teacher"), 2, SIZE),
    ):
        assert not torch.equal(first.order, other.order)
        assert first.weights != other.weights


def test_a_shorter_training_draws_the_same_batches():
    long, short = make_plan(mix_alpha=0.8), make_plan(mix_alpha=0.8, epochs=None, steps=2)
    assert draws_equal(draw_epoch(long, UNIT, 0, SIZE), draw_epoch(short, UNIT, 0, SIZE))
