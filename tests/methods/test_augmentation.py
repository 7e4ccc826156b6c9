"""Transforms are torchvision's crops, mirror images and rolls, drawn by its law from generators of the group's own."""

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import hflip, resized_crop

from infer.methods.optimisation.augmentation import Augmentation, Transform, draw_crops, rolled, smallest_crops

UNITS = [("net", 0), ("net", 1)]


def test_rolled_is_a_roll_of_each() -> None:
    images, shifts = torch.randn(3, 2, 3, 5, 7), torch.tensor([[0, 0], [4, 6], [1, 3]])
    expected = torch.stack(
        [torch.roll(x, tuple(shift), (-2, -1)) for x, shift in zip(images, shifts.tolist(), strict=True)]
    )
    assert torch.equal(rolled(images, shifts), expected)
    assert torch.equal(rolled(rolled(images, shifts), -shifts), images)
    assert torch.equal(rolled(images[:, 0], shifts), expected[:, 0])


def test_rolls_depend_on_seed_teacher_and_subset_only() -> None:
    def draw(seed=0, teacher="resnet18", ks=range(3), iterations=50, jitter_px=4):
        return Augmentation(jitter_px).draw(seed, [(teacher, k) for k in ks], iterations, 32).rolls

    rolls = draw()
    assert rolls.shape == (50, 3, 2) and rolls.dtype == torch.int64
    assert rolls.min() == 0 and rolls.max() == 4
    assert torch.equal(rolls[:, 2:], draw(ks=[2]))
    assert torch.equal(rolls[:10], draw(iterations=10))
    assert not torch.equal(rolls[:, 0], rolls[:, 1])
    assert not torch.equal(rolls, draw(teacher="mobilenetv2"))
    assert not torch.equal(rolls, draw(seed=1))
    assert not draw(jitter_px=0).any()


def test_two_sided_rolls_go_both_ways() -> None:
    rolls = Augmentation(3, two_sided=True).draw(0, UNITS, 200, 8).rolls
    assert sorted(set(rolls.flatten().tolist())) == [-3, -2, -1, 0, 1, 2, 3]


@pytest.mark.parametrize("size", [8, 33])
def test_a_view_is_torchvisions_crop_then_the_mirror_then_the_roll(size: int) -> None:
    transforms = Augmentation(3, two_sided=True, crop_scale_min=0.08).draw(0, UNITS, 30, size)
    images = torch.randn(2, 4, 3, size, size, dtype=torch.float64)
    for t in range(30):
        seen = transforms[t](images)
        for g in range(2):
            *box, mirrored = transforms.crops[t, g].tolist()
            expected = resized_crop(images[g], *box, [size, size], antialias=True)
            expected = hflip(expected) if mirrored else expected
            expected = torch.roll(expected, tuple(transforms.rolls[t, g].tolist()), (2, 3))
            torch.testing.assert_close(seen[g], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("crops", [None, torch.tensor([[1, 2, 3, 2, 1]])])
def test_gradients_go_back_where_the_pixels_came_from(crops: torch.Tensor | None) -> None:
    transform = Transform(torch.tensor([[2, 3]]), crops)
    images = torch.randn(1, 2, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform, images)


def test_crops_depend_on_seed_and_unit_only() -> None:
    smallest = np.full(20, 0.08)
    crops = draw_crops(0, UNITS, smallest, 32)
    assert crops.shape == (20, 2, 5)
    assert torch.equal(crops[:, 1:], draw_crops(0, UNITS[1:], smallest, 32))
    assert torch.equal(crops[:5], draw_crops(0, UNITS, smallest[:5], 32))
    assert not torch.equal(crops[:, 0], crops[:, 1])
    assert not torch.equal(crops, draw_crops(1, UNITS, smallest, 32))


def test_crops_follow_the_law_of_random_resized_crop() -> None:
    """Means and standard deviations of 4,000 draws; corners lie in the image and every second one is mirrored."""
    drawn = draw_crops(0, UNITS[:1], np.full(4000, 0.08), 224)[:, 0]
    torch.manual_seed(0)
    image = torch.empty(3, 224, 224)
    expected = torch.tensor(
        [RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)], dtype=torch.float64
    )
    box = drawn[:, :4].double()
    torch.testing.assert_close(box.mean(0), expected.mean(0), rtol=0, atol=3)
    torch.testing.assert_close(box.std(0), expected.std(0), rtol=0, atol=2)
    assert (box[:, :2] >= 0).all() and (box[:, :2] + box[:, 2:] <= 224).all()
    assert drawn[:, 4].double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_the_whole_image_where_no_crop_fits() -> None:
    """At a scale of 1 only a square fits, which RandomResizedCrop never draws: it takes the whole image."""
    crops = draw_crops(0, UNITS, np.full(10, 1.0), 64)
    assert (crops[..., :2] == 0).all() and (crops[..., 2:4] == 64).all()


def test_the_curriculum_is_a_cosine_up_to_its_milestone() -> None:
    assert smallest_crops(4, 0.08, 0.0).tolist() == [0.08] * 4
    whole = smallest_crops(4, 0.08, 1.0)
    assert whole.tolist() == pytest.approx([1.0, 0.865269, 0.54, 0.214731], abs=1e-6)
    half = smallest_crops(4, 0.08, 0.5)
    assert half.tolist() == pytest.approx([1.0, 0.54, 0.08, 0.08])
