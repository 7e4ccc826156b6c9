"""Static labels belong to the right image, come from the stored compensators and are mixed before the softmax."""

import numpy as np
import pytest
import torch

from infer.labels.base import SoftLabelLoss
from infer.labels.static import StaticLabels, static_label_objective
from infer.methods.registry import distilled_set
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch


def _labels(context) -> StaticLabels:
    teachers = [Teacher(context, arch) for arch in context.config.teachers_that_label]
    return StaticLabels(context, distilled_set(context), teachers, SoftLabelLoss(4.0))


@pytest.mark.parametrize(
    "words", [(), ("M=1",), ("K=1",), ("method=random", "K=null", "ipc=4"), ("labeling.teachers=[resnet8_w8]",)]
)
def test_every_image_carries_the_mean_logits_of_the_teachers_on_itself(make_context, words):
    context = make_context(*words)
    images = distilled_set(context).images()
    stored = _labels(context).logits()
    with torch.no_grad():
        pixels = images.normalised(images.pixels)
        anew = [Teacher(context, arch).network()(pixels) for arch in context.config.teachers_that_label]
    expected = torch.stack(anew).double().mean(dim=0)
    assert stored.dtype == torch.float16 and stored.shape == (len(images), 10)
    torch.testing.assert_close(stored.double(), expected, rtol=2e-3, atol=2e-3)


def test_no_two_composed_images_share_their_logits(make_context):
    """Otherwise the test above could not see labels in the wrong order."""
    assert len(_labels(make_context()).logits().unique(dim=0)) == 3 * 3 * 10


def test_sets_share_the_logits_of_what_they_have_in_common(make_context):
    def units(*words: str) -> set[str]:
        return {parent.signature for role, parent in _labels(make_context(*words)).parents.items() if role != "images"}

    assert units("K=2") < units("K=3")
    assert len(units("K=1") - units("K=3")) == 0
    assert units("M=1", "labeling.teachers=[convnet3_w32_batchnorm]") < units()


def test_the_rounding_is_part_of_the_labels(make_context):
    assert _labels(make_context()).signature != _labels(make_context("method.compensator_dtype=float32")).signature


def test_logits_are_mixed_linearly_before_the_softmax():
    generator = torch.Generator().manual_seed(0)
    logits, student = torch.randn(5, 3, generator=generator), torch.randn(2, 3, generator=generator)
    batch = Batch(torch.empty(2, 3, 4, 4), index=torch.tensor([4, 1]), partner=torch.tensor([1, 0]), weight=0.3)
    loss = static_label_objective(logits, SoftLabelLoss(30.0), torch.device("cpu"))(student, batch)

    def softmax(row: np.ndarray) -> np.ndarray:
        return np.exp(row) / np.exp(row).sum()

    expected = 0.0
    z, s = logits.double().numpy(), student.double().numpy()
    for position, (own, other) in enumerate([(4, 1), (1, 0)]):
        target = softmax((0.3 * z[own] + 0.7 * z[other]) / 30)
        expected += (target * (np.log(target) - np.log(softmax(s[position] / 30)))).sum() / 2
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def test_unmixed_batches_take_the_logits_as_they_are():
    logits = torch.eye(3)
    batch = Batch(torch.empty(1, 3, 4, 4), index=torch.tensor([2]), partner=None, weight=1.0)
    objective = static_label_objective(logits, SoftLabelLoss(2.0), torch.device("cpu"))
    assert objective(logits[2:], batch).item() == pytest.approx(0, abs=1e-6)
    assert objective(logits[:1], batch).item() > 0.01
