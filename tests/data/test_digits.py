"""The embedded digits."""

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

import infer.data
from infer.config.dataset import DigitsConfig
from infer.data.base import ImageDataset


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return infer.data.load(DigitsConfig(), Path("unused"), threads=1)


def test_sizes_and_counts(digits):
    assert digits.train.images.shape == (1437, 3, 8, 8)
    assert digits.test.images.shape == (360, 3, 8, 8)
    assert digits.train.images.dtype == torch.uint8 and digits.train.targets.dtype == torch.int64
    assert (digits.name, digits.image_size, digits.num_classes) == ("digits", 8, 10)
    assert digits.classes == list("0123456789")
    assert digits.train_bytes == digits.train.images.numel() == 1437 * 3 * 64
    assert digits.val is None


def test_the_split_is_stratified_and_holds_every_digit_once(digits):
    _, of_all = torch.unique(torch.from_numpy(load_digits().target), return_counts=True)
    of_test = torch.bincount(digits.test.targets)
    assert digits.train_counts == (of_all - of_test).tolist() == torch.bincount(digits.train.targets).tolist()
    assert (of_test - of_all * 360 / 1797).abs().max() < 1
    images = torch.cat([digits.train.images, digits.test.images])
    assert images[:, 0].double().sum() == torch.from_numpy(load_digits().images * 255 / 16).round().sum()


def test_grey_values_span_a_byte_in_three_equal_channels(digits):
    levels = torch.unique(digits.train.images)
    assert levels.tolist() == [round(v * 255 / 16) for v in range(17)]
    assert torch.equal(digits.train.images[:, 0], digits.train.images[:, 1])
    assert torch.equal(digits.train.images[:, 0], digits.train.images[:, 2])


def test_mean_and_std_are_those_of_the_training_pixels(digits):
    pixels = digits.train.images.double().div(255).transpose(0, 1).flatten(1)
    assert digits.mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-6)
    assert digits.std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-6)


def test_loading_again_gives_the_same_data(digits):
    again = infer.data.load(DigitsConfig(), Path("unused"), threads=2)
    assert again.fingerprint == digits.fingerprint
    assert torch.equal(again.test.images, digits.test.images)
