"""Networks of timm and torchvision: trained from random weights on small images, or refused in one line."""

import pytest
import torch

from infer.errors import UsageError
from infer.models import build


@pytest.mark.parametrize(
    "arch",
    [
        "timm/resnet10t",
        "timm/vit_tiny_patch16_224",
        "torchvision/shufflenet_v2_x0_5",
        "torchvision/googlenet",
    ],
)
def test_library_networks_train_on_small_images(arch: str) -> None:
    network = build(arch, 5, image_size=32)
    assert network.training
    logits = network(torch.randn(2, 3, 32, 32))
    logits.sum().backward()
    assert logits.shape == (2, 5)


def test_a_torchvision_transformer_is_sized_for_the_images() -> None:
    with torch.device("meta"):  # shapes only: no weights are drawn
        network = build("torchvision/vit_b_32", 5, image_size=64)
    assert network.encoder.pos_embedding.shape[1] == (64 // 32) ** 2 + 1


def test_weights_are_random_and_follow_the_seed_of_torch() -> None:
    def first_weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return build("timm/resnet10t", 5, image_size=32).conv1[0].weight

    assert torch.equal(first_weight(1), first_weight(1))
    assert not torch.equal(first_weight(1), first_weight(2))


@pytest.mark.parametrize(
    ("arch", "told"),
    [
        ("timm/resnt18", "timm has no architecture 'resnt18' (nearest: resnet18"),
        ("timm/resnet18.a1_in1k", "(nearest: resnet18,"),
        ("timm/hf-hub:owner/name", "timm has no architecture"),
        ("torchvision/vgg", "torchvision has no architecture 'vgg' (nearest: vgg"),
        ("torchvision/deeplabv3_resnet50", "torchvision has no architecture"),
        ("torchvision/alexnet", "cannot take images of 32x32 pixels"),
        ("timm/halonet26t", "cannot take images of 32x32 pixels"),
    ],
)
def test_a_library_network_that_cannot_be_had_is_one_line(arch: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(arch, 10, image_size=32)
    assert told in str(caught.value) and "\n" not in str(caught.value)
