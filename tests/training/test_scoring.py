"""Accuracies against scikit-learn, logits against a single forward pass."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import top_k_accuracy_score
from torch import nn
from torchvision.transforms.functional import normalize

from infer.normalisation import Normalisation
from infer.training.images import Images, LabelledImages
from infer.training.scoring import predict_logits, run_test

MEAN, STD = (0.45, 0.5, 0.55), (0.2, 0.25, 0.3)
NORMALISATION = Normalisation.of(MEAN, STD)


@pytest.fixture
def tests_of_seven():
    """130 random images and classes, 0 to 6."""
    pixels = torch.randint(0, 256, (130, 3, 8, 8), dtype=torch.uint8)
    return LabelledImages(pixels, NORMALISATION, torch.arange(130) % 7)


def expected_logits(net: nn.Module, images: Images) -> torch.Tensor:
    with torch.no_grad():
        return net.eval()(normalize(images.pixels / 255, MEAN, STD))


@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_scores_are_scikit_learns(make_net, tests_of_seven, batch_size):
    net = make_net(classes=7)
    logits = expected_logits(net, tests_of_seven).numpy()
    targets = tests_of_seven.targets.numpy()
    outcome = run_test(net, tests_of_seven, batch_size=batch_size)
    assert outcome.scores.keys() == {"top1", "top5"}
    assert outcome.scores["top1"] == pytest.approx(100 * np.mean(logits.argmax(axis=1) == targets))
    assert outcome.scores["top5"] == pytest.approx(100 * top_k_accuracy_score(targets, logits, k=5))
    assert np.array_equal(outcome.predicted, logits.argmax(axis=1))
    np.testing.assert_allclose(outcome.confidence, softmax(logits.astype(float), axis=1).max(axis=1), rtol=1e-4)


def test_top5_needs_more_than_five_classes(make_net, separable):
    assert run_test(make_net(classes=5), separable(9)).scores.keys() == {"top1"}
    assert run_test(make_net(classes=6), separable(9)).scores.keys() == {"top1", "top5"}


@pytest.mark.parametrize("training", [True, False])
def test_logits_are_those_of_one_pass_in_evaluation_mode(make_net, tests_of_seven, training):
    net = make_net(classes=7).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    got = predict_logits(net, tests_of_seven, batch_size=50)
    assert net.training == training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert got.dtype == torch.float32 and not got.requires_grad
    torch.testing.assert_close(got, expected_logits(net, tests_of_seven), rtol=1e-4, atol=1e-5)


def test_normalised_images_give_the_same_logits_as_their_bytes(make_net, tests_of_seven):
    normalised = Images(normalize(tests_of_seven.pixels / 255, MEAN, STD), NORMALISATION)
    net = make_net(classes=7)
    got = predict_logits(net, normalised)
    torch.testing.assert_close(got, predict_logits(net, tests_of_seven), rtol=1e-4, atol=1e-5)


def test_bf16_scores_in_float32(make_net, tests_of_seven):
    net = make_net(classes=7)
    got = predict_logits(net, tests_of_seven, precision="bf16")
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, predict_logits(net, tests_of_seven), rtol=0.1, atol=0.05)
    assert not torch.equal(got, predict_logits(net, tests_of_seven))
