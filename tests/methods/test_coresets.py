"""Coresets: the greedy choices against brute force in float64, and the features that they are made in."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infer.errors import UsageError
from infer.methods.registry import distilled_set
from infer.methods.sets.coreset import herd, k_centers
from infer.methods.sets.features import Features, head_of, without_head
from infer.models import build
from infer.pipeline import preflight
from infer.teachers.teacher import Teacher


def reference_herding(features: np.ndarray, count: int) -> list[int]:
    """Every candidate's mean with those taken, in full."""
    order: list[int] = []
    for _ in range(count):
        free = [row for row in range(len(features)) if row not in order]
        gaps = [np.linalg.norm(features[[*order, row]].mean(0) - features.mean(0)) for row in free]
        order.append(free[int(np.argmin(gaps))])
    return order


def reference_k_centers(features: np.ndarray, count: int) -> list[int]:
    """The whole table of distances, looked up."""
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    order = [int(np.argmin(np.linalg.norm(features - features.mean(0), axis=1)))]
    while len(order) < count:
        free = [row for row in range(len(features)) if row not in order]
        order.append(free[int(np.argmax(distances[free][:, order].min(axis=1)))])
    return order


CHOICES = [pytest.param(herd, reference_herding, id="herding"), pytest.param(k_centers, reference_k_centers, id="k")]


def made_up(count: int = 60) -> Tensor:
    """Features as they come after a ReLU, far from the origin compared with how they differ."""
    drawn = torch.randn(count, 9, generator=torch.Generator().manual_seed(count))
    return 10 + drawn.relu() * torch.arange(1, 10)


@pytest.mark.parametrize(("choose", "reference"), CHOICES)
def test_the_choice_is_that_of_brute_force_in_float64(choose, reference):
    for count in (1, 2, 17, 60):
        features = made_up(60)
        assert choose(features, count).tolist() == reference(features.double().numpy(), count)


@pytest.mark.parametrize(("choose", "reference"), CHOICES)
def test_duplicates_are_taken_once_each(choose, reference):
    features = made_up(6).repeat(3, 1)
    assert sorted(choose(features, 18).tolist()) == list(range(18))
    assert sorted(choose(torch.zeros(4, 3), 4).tolist()) == list(range(4))
    assert set(k_centers(features, 6).remainder(6).tolist()) == set(range(6))


@pytest.mark.parametrize("arch", ["convnet3_w32", "resnet8_w8", "efficientnet_b0", "timm/mobilenetv3_small_050"])
def test_features_are_what_the_last_layer_makes_logits_of(arch):
    torch.manual_seed(0)
    network, images = build(arch, 5, 32).eval(), torch.randn(3, 3, 32, 32)
    head = network.get_submodule(head_of(network, arch, 32))
    with torch.no_grad():
        torch.testing.assert_close(head(without_head(network, arch, 32)(images)), network(images))
    assert isinstance(head, nn.Linear) and network.get_submodule(head_of(network, arch, 32)) is head


def test_layers_in_another_order_than_they_run():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 2), nn.Linear(3 * 8 * 8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x.flatten(1)).relu())

    assert head_of(Backwards(), "backwards", 8) == "last"


@pytest.mark.parametrize("arch", ["torchvision/squeezenet1_1", "timm/deit_tiny_distilled_patch16_224"])
def test_a_network_that_does_not_end_in_a_linear_layer_is_refused(arch):
    with torch.device("meta"):
        network = build(arch, 5, 32).eval()
    with pytest.raises(UsageError, match=f"teacher {arch} does not end in a linear layer") as caught:
        head_of(network, arch, 32)
    assert "\n" not in str(caught.value) and "teachers.archs=" in str(caught.value)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("method", ["herding", "kcenter"])
def test_such_a_teacher_is_refused_before_any_work(make_context, monkeypatch, method):
    context = make_context(f"method={method}", "K=null")
    ends_in_a_pool = nn.Sequential(nn.Conv2d(3, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    monkeypatch.setattr(preflight, "outline", lambda *_: ends_in_a_pool.to("meta"))
    with pytest.raises(UsageError, match="does not end in a linear layer"):
        preflight.check(context, {})
    preflight.check(make_context("method=random", "K=null"), {})


def coreset_of(make_context, method: str, ipc: int):
    return distilled_set(make_context(f"method={method}", "K=null", f"ipc={ipc}"))


def test_the_features_of_a_run(make_context):
    context = make_context("method=herding", "K=null")
    data, teacher = context.data, Teacher(context, context.config.ensemble[0])
    known = Features(context, teacher, range(0, 10)).of_class(3)
    assert torch.equal(known["index"], data.class_indices[3])
    images = data.train.images[known["index"]].double() / 255
    images = (images - torch.tensor(data.mean).view(3, 1, 1)) / torch.tensor(data.std).view(3, 1, 1)
    with torch.no_grad():
        body = without_head(teacher.network(), teacher.arch, data.image_size).double()
        expected = body(images.double())
    torch.testing.assert_close(known["features"].double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("method", "reference"), [("herding", reference_herding), ("kcenter", reference_k_centers)])
def test_the_stored_images_are_those_of_brute_force(make_context, method, reference):
    images = coreset_of(make_context, method, 4)
    data, (features,) = images.context.data, images.parents.values()
    expected = []
    for c in range(10):
        known = features.of_class(c)
        expected.append(known["index"][reference(known["features"].double().numpy(), 4)])
    expected = torch.cat(expected)
    assert torch.equal(images.images().pixels, data.train.images[expected])
    assert torch.equal(images.targets(), torch.arange(10).repeat_interleave(4))


@pytest.mark.parametrize("method", ["herding", "kcenter"])
def test_a_small_set_begins_a_larger_one(make_context, method):
    small, large = (coreset_of(make_context, method, ipc).images().pixels.unflatten(0, (10, ipc)) for ipc in (2, 5))
    assert torch.equal(small, large[:, :2])


def test_all_sizes_and_both_methods_share_one_pass_of_the_first_teacher(make_context):
    sets = [coreset_of(make_context, method, ipc) for method in ("herding", "kcenter") for ipc in (2, 5)]
    assert len({features.signature for images in sets for features in images.parents.values()}) == 1
    (features,) = sets[0].parents.values()
    assert features.parents["teacher"].arch == "convnet3_w32_batchnorm"
    assert len({images.signature for images in sets}) == 4
