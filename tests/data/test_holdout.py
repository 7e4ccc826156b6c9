"""Training images set aside as a validation split."""

import pytest
import torch

from infer.data.base import ImageDataset
from infer.data.holdout import holdout


def test_train_and_val_share_nothing_and_lose_nothing(labelled):
    data = labelled([20, 40, 10])
    held = holdout(data, 0.2, seed=0)
    values = [split.images[:, 0, 0, 0].tolist() for split in (held.train, held.val)]
    assert sorted(values[0] + values[1]) == list(range(70))
    assert torch.equal(held.val.targets, data.train.targets[torch.tensor(values[1])])
    assert held.test is data.test


def test_every_class_gives_the_same_share(labelled):
    held = holdout(labelled([20, 40, 10]), 0.2, seed=0)
    assert torch.bincount(held.val.targets).tolist() == [4, 8, 2]
    assert held.train_counts == torch.bincount(held.train.targets).tolist() == [16, 32, 8]
    assert held.train_bytes == held.train.images.numel()


def test_it_is_another_data_set_and_repeatable(labelled):
    data = labelled([20, 40])
    made = [holdout(data, fraction, seed) for fraction, seed in ((0.2, 0), (0.2, 0), (0.2, 1), (0.3, 0))]
    fingerprints = [held.fingerprint for held in made]
    assert fingerprints[0] == fingerprints[1]
    assert len({data.fingerprint, *fingerprints}) == 4
    assert torch.equal(made[0].val.images, made[1].val.images)
    assert not torch.equal(made[0].val.images, made[2].val.images)
    assert (made[0].mean, made[0].classes) == (data.mean, data.classes)
    assert "12 of 60 training images" in made[0].notes[-1]


def test_natural_images_come_from_what_is_left(labelled):
    held = holdout(labelled([10, 10]), 0.5, seed=0)
    drawn = held.natural(0, 0, 5)[:, :, 0, 0, 0]
    assert set(drawn.flatten().tolist()) == set(held.train.images[:, 0, 0, 0].tolist())


def test_nothing_is_read_before_a_split_is_asked_for(labelled):
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was read")

    known = labelled([10, 10])
    data = ImageDataset(**{**vars(known), "read": refuse})
    held = holdout(data, 0.5, seed=0)
    assert held.train_counts == [5, 5]
    with pytest.raises(AssertionError, match="train was read"):
        _ = held.val


@pytest.mark.parametrize(
    ("counts", "fraction"),
    [([10, 10], 0.0), ([10, 10], 1.0), ([10, 10], -0.5), ([10, 10], 3), ([10, 1], 0.5), ([500, 2], 0.01)],
)
def test_a_fraction_that_empties_a_class_is_refused(labelled, refusal, counts, fraction):
    told = refusal(holdout, labelled(counts), fraction, 0)
    assert f"holding out {fraction} " in told and "(0, 1)" in told
