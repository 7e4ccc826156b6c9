"""Hard labels, plain and mixed."""

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from infer.training.batches import Batch
from infer.training.objectives import hard_label_objective

TARGETS = torch.tensor([2, 0, 1, 1])
INDEX, PARTNER = torch.tensor([3, 0, 1]), torch.tensor([0, 1, 3])


def test_unmixed_images_are_charged_for_their_class():
    logits = torch.randn(3, 3)
    batch = Batch(torch.empty(3, 3, 1, 1), INDEX, None, 1.0)
    expected = cross_entropy(logits, torch.tensor([1, 2, 0]))
    assert hard_label_objective(TARGETS)(logits, batch) == pytest.approx(expected.item())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_images_are_charged_for_their_mixed_class(smoothing):
    logits = torch.randn(3, 3)
    batch = Batch(torch.empty(3, 3, 1, 1), INDEX, PARTNER, 0.7)
    classes = one_hot(TARGETS, 3).float()
    mixed = 0.7 * classes[INDEX] + 0.3 * classes[PARTNER]
    expected = cross_entropy(logits, (1 - smoothing) * mixed + smoothing / 3)
    assert hard_label_objective(TARGETS, smoothing)(logits, batch) == pytest.approx(expected.item(), rel=1e-5)
