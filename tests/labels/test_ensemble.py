"""Views that teachers see and their normalisation while they label."""

import pytest
import torch
from torch import nn

from infer.evaluation.protocol import student_normalisation
from infer.labels.ensemble import Ensemble, with_batch_statistics
from infer.normalisation import IMAGENET, Normalisation, Renormalise
from infer.teachers.teacher import Teacher
from infer.training.images import Images

OTHER = IMAGENET


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(5))
    net(torch.randn(8, 3, 6, 6) + 1)  # running statistics of their own
    return net.eval()


def test_batch_statistics_are_those_of_training_mode_without_dropout(network):
    images = torch.randn(8, 3, 6, 6)
    got = with_batch_statistics(network)(images)
    network.train()
    network[2].eval()
    torch.testing.assert_close(got, network(images))


def test_batch_statistics_leave_the_running_ones_untouched(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copy = with_batch_statistics(network)
    copy(torch.randn(8, 3, 6, 6))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training


@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_teachers_see_their_own_units(make_context, mode):
    context = make_context("evaluate.normalise=imagenet", f"evaluate.teacher_bn={mode}")
    teachers = [Teacher(context, arch) for arch in context.config.ensemble]
    raw = torch.rand(16, 3, 8, 8)
    own, seen = (
        torch.stack([(raw[:, c] - normalisation.mean[c]) / normalisation.std[c] for c in range(3)], dim=1)
        for normalisation in (context.data.normalisation, OTHER)
    )
    assert student_normalisation(context) == OTHER
    got = Ensemble(context, teachers).labeller(OTHER)(seen)
    networks = [with_batch_statistics(t.network()) if mode == "batch" else t.network() for t in teachers]
    with torch.no_grad():
        expected = torch.stack([net(own) for net in networks]).mean(dim=0)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    assert not got.requires_grad


def test_units_change_there_and_back():
    raw, old = torch.rand(2, 3, 4, 4), Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    normalised = (raw - torch.tensor(old.mean).view(3, 1, 1)) / torch.tensor(old.std).view(3, 1, 1)
    changed = Renormalise(old, OTHER)(normalised)
    expected = (raw - torch.tensor(OTHER.mean).view(3, 1, 1)) / torch.tensor(OTHER.std).view(3, 1, 1)
    torch.testing.assert_close(changed, expected)
    torch.testing.assert_close(Renormalise(OTHER, old)(changed), normalised)


def test_bytes_and_normalised_images_are_renormalised_alike():
    pixels = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    stored = Images(pixels, Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.1)))
    ready = Images(stored.normalised(pixels), stored.normalisation)
    a, b = stored.renormalised(OTHER), ready.renormalised(OTHER)
    torch.testing.assert_close(a.normalised(a.pixels), b.normalised(b.pixels), rtol=1e-5, atol=1e-5)
    assert a.normalisation == b.normalisation == OTHER and stored.renormalised(stored.normalisation) is stored
    torch.testing.assert_close(b.black, (0 - torch.tensor(OTHER.mean)) / torch.tensor(OTHER.std))
