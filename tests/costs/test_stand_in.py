"""Stand-ins have the sizes that are asked for, out of the data set's own images."""

from collections import Counter

import pytest
import torch

from infer.config.scale import ScaleConfig
from infer.costs.stand_in import stand_in
from infer.data import load
from infer.data.base import ImageDataset
from infer.data.on_demand import OnDemand
from infer.errors import UsageError


@pytest.fixture(scope="module")
def digits(resolved, tmp_path_factory) -> ImageDataset:
    return load(resolved().dataset, cache_dir=tmp_path_factory.mktemp("cache"), threads=1)


def test_without_sizes_it_is_the_data_set(digits):
    assert stand_in(digits, ScaleConfig(most_minutes=5)) is digits


def test_classes_hold_images_of_the_classes_in_turn(digits):
    twelve = stand_in(digits, ScaleConfig(classes=12, train_per_class=200, test_per_class=3))
    assert twelve.classes == [*digits.classes, "0-1", "1-1"] and twelve.train_counts == [200] * 12
    assert Counter(twelve.train.targets.tolist()) == Counter(dict.fromkeys(range(12), 200))
    assert Counter(twelve.test.targets.tolist()) == Counter(dict.fromkeys(range(12), 3))
    of_one = digits.train.images[digits.train.targets == 1]
    for number in (1, 11):
        images = twelve.train.images[twelve.train.targets == number]
        assert torch.equal(images[: len(of_one)], of_one), "in their order"
        assert torch.equal(images[len(of_one) :], of_one[: 200 - len(of_one)]), "and again where there are too few"


def test_null_is_as_many_as_in_the_data_set(digits):
    larger = stand_in(digits, ScaleConfig(image_size=16))
    assert larger.classes == digits.classes and larger.train_counts == [144] * 10
    assert larger.train.images.shape == (1440, 3, 16, 16) and larger.train.images.dtype == torch.uint8
    pooled = larger.train.images.float().unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5))
    of_zero = digits.train.images[digits.train.targets == 0].float()
    enlarged = pooled[: len(of_zero)]
    assert torch.corrcoef(torch.stack([enlarged.flatten(), of_zero.flatten()]))[0, 1] > 0.95


def test_every_size_has_a_fingerprint_of_its_own(digits):
    sizes = [{"classes": 20}, {"image_size": 16}, {"train_per_class": 9}, {"test_per_class": 9}]
    several = [digits, *(stand_in(digits, ScaleConfig(**each)) for each in sizes)]
    assert len({data.fingerprint for data in several}) == len(several)


def test_what_no_machine_holds_can_be_planned(digits):
    sizes = ScaleConfig(classes=1000, image_size=224, train_per_class=1281, test_per_class=50)
    imagenet = stand_in(digits, sizes)
    assert isinstance(imagenet.test.images, OnDemand) and isinstance(imagenet.train.images, OnDemand)
    assert imagenet.train_bytes > 10**11 and len(imagenet.train.targets) == 1_281_000
    assert imagenet.train.images[torch.tensor([0, 1_280_999])].shape == (2, 3, 224, 224)


def test_held_or_not_the_images_are_the_same(digits, monkeypatch):
    sizes = ScaleConfig(classes=3, image_size=5)
    held = stand_in(digits, sizes).train
    monkeypatch.setattr("infer.costs.stand_in._HELD_BYTES", 0)
    on_demand = stand_in(digits, sizes).train
    assert isinstance(on_demand.images, OnDemand) and torch.equal(on_demand.images[:], held.images)


@pytest.mark.parametrize(
    "sizes", [{"classes": 1}, {"image_size": 0}, {"train_per_class": 0}, {"test_per_class": 0}, {"most_minutes": -1.0}]
)
def test_impossible_sizes_are_refused(sizes):
    ((key, _),) = sizes.items()
    with pytest.raises(UsageError, match=rf"scale\.{key}=.* it must be at least"):
        ScaleConfig(**sizes)


@pytest.mark.parametrize(("key", "most"), [("classes", 1_000_000), ("image_size", 4096)])
def test_sizes_that_a_slip_of_a_key_made_are_refused(key, most):
    assert getattr(ScaleConfig(**{key: most}), key) == most
    with pytest.raises(UsageError, match=rf"^scale\.{key}=100000000 is not possible: it may be at most {most:,}$"):
        ScaleConfig(**{key: 100_000_000})


@pytest.mark.parametrize("split", ["train", "test"])
def test_more_images_than_can_be_named_are_refused(digits, split):
    key = f"{split}_per_class"
    assert stand_in(digits, ScaleConfig(classes=1000, **{key: 100_000})).num_classes == 1000
    with pytest.raises(UsageError, match=rf"scale\.{key}=100001 of scale\.classes=1000 .* Type scale\.{key}=100000 or"):
        stand_in(digits, ScaleConfig(classes=1000, **{key: 100_001}))
