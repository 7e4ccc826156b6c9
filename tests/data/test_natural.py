"""Natural subsets and other samples of real training images."""

import torch


def test_one_image_of_every_class_in_class_order(labelled):
    data = labelled([5, 7, 6])
    subsets = data.natural(seed=0, start=0, stop=5)
    assert subsets.shape == (5, 3, 3, 2, 2) and subsets.dtype == torch.uint8
    drawn = subsets[:, :, 0, 0, 0].long()  # image i has the value i
    assert torch.equal(data.train.targets[drawn], torch.arange(3).expand(5, 3))


def test_subsets_are_nested_and_never_repeat_an_image(labelled):
    data = labelled([5, 7, 6])
    all_five = data.natural(0, 0, 5)
    assert torch.equal(data.natural(0, 0, 2), all_five[:2])
    assert torch.equal(data.natural(0, 3, 5), all_five[3:])
    drawn = all_five[:, :, 0, 0, 0].flatten().tolist()
    assert len(set(drawn)) == len(drawn)


def test_another_seed_and_another_purpose_draw_other_images(labelled):
    data = labelled([50, 50])
    natural = data.sample(0, 20, "natural")
    assert torch.equal(natural, data.sample(0, 20, "natural"))
    assert not torch.equal(natural, data.sample(1, 20, "natural"))
    assert not torch.equal(natural, data.sample(0, 20, "random"))


def test_a_class_does_not_depend_on_how_many_others_there_are(labelled):
    small, large = labelled([9, 9]), labelled([9, 9, 9])
    ranks = [
        [torch.searchsorted(data.class_indices[c], data.sample(3, 4, "natural")[c]).tolist() for c in range(2)]
        for data in (small, large)
    ]
    assert ranks[0] == ranks[1]


def test_more_than_the_smallest_class_is_refused_before_anything_is_decoded(labelled, refusal):
    data = labelled([5, 3, 6])
    told = refusal(data.natural, 0, 0, 4)
    assert "'class 1'" in told and "K=4" in told and "Type K=3" in told
    assert "train" not in vars(data)
