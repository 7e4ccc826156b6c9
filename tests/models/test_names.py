"""Architecture names: what is allowed, what a wrong one is told, and that torch is not needed to say so."""

import subprocess
import sys

import pytest

from infer.errors import UsageError
from infer.models import check, names
from infer.models.names import ParsedName

ALLOWED = [
    *("resnet18", "resnet34", "resnet50", "resnet101"),
    *("resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet8_w8"),
    *("mobilenetv2", "efficientnet_b0", "shufflenet_g2"),
    *(
        "convnet3",
        "convnet4",
        "convnet5",
        "convnet6",
        "convnet3_w64",
        "convnet3_batchnorm",
        "convnet3_w32_batchnorm",
    ),
    *(
        "convnet3_instancenorm",
        "convnet3_layernorm",
        "convnet3_groupnorm",
        "convnet3_nonorm",
        "convnet3_w32_groupnorm",
    ),
    *("timm/vit_tiny_patch16_224", "torchvision/vgg11"),
]


@pytest.mark.parametrize("arch", ALLOWED)
def test_allowed_names_pass(arch: str) -> None:
    check(arch)


def test_a_name_is_split_into_family_and_options() -> None:
    assert names.parse("convnet4_w64_batchnorm") == ParsedName("convnet", depth=4, width=64, norm="batchnorm")
    assert names.parse("convnet3") == ParsedName("convnet", depth=3, width=128, norm="instancenorm")
    assert names.parse("resnet18") == ParsedName("resnet", depth=18)
    assert names.parse("resnet8_w8") == ParsedName("resnet_thin", depth=8, width=8)
    assert names.parse("timm/100") == ParsedName("timm", name="100")


@pytest.mark.parametrize(
    ("arch", "nearest"),
    [
        ("resnet19", "resnet18"),
        ("ResNet18", "resnet18"),
        ("resnet18_w8", "resnet18"),
        ("resnet8_w0", "resnet8"),
        ("mobilenetV2", "mobilenetv2"),
        ("efficientnet", "efficientnet_b0"),
        ("shufflenet", "shufflenet_g2"),
        ("convnet7", "convnet6"),
        ("convnet3_batchnrm", "convnet3_batchnorm"),
        ("convnet3_batchnorm_w32", "convnet3_batchnorm"),
    ],
)
def test_a_wrong_name_is_one_line_with_what_is_allowed_and_the_nearest(arch: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(arch)
    message = str(caught.value)
    assert "\n" not in message
    assert f"'{arch}'" in message
    assert nearest in message.partition("nearest: ")[2].partition(")")[0].split(", ")
    assert names.ALLOWED in message


@pytest.mark.parametrize("arch", ["", "timm/", "vgg16", "resnet18 ", "convnet3_w", "convnet3\n"])
def test_a_name_like_no_other_is_still_told_what_is_allowed(arch: str) -> None:
    with pytest.raises(UsageError, match="allowed: resnet18"):
        check(arch)


def test_the_width_of_a_groupnorm_convnet_is_a_multiple_of_four() -> None:
    with pytest.raises(UsageError, match="multiple of 4"):
        check("convnet3_w30_groupnorm")
    check("convnet3_w30_batchnorm")


@pytest.mark.parametrize(
    ("arch", "image_size", "told"),
    [
        ("convnet4", 8, "largest possible depth is 3; type convnet3"),
        ("convnet6_w64_batchnorm", 32, "largest possible depth is 5; type convnet5_w64_batchnorm"),
        ("convnet5", 28, "largest possible depth is 4; type convnet4"),
        ("convnet3", 7, "largest possible depth is 2; a ConvNet needs images of at least 8x8"),
    ],
)
def test_a_convnet_too_deep_for_the_images_is_told_the_largest_depth(arch: str, image_size: int, told: str) -> None:
    with pytest.raises(UsageError, match=f"of size {image_size} ") as caught:
        check(arch, image_size)
    assert told in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("arch", "image_size"), [("convnet3", 8), ("convnet4", 28), ("convnet5", 32), ("resnet18", 1)])
def test_networks_that_fit_the_image_size_pass(arch: str, image_size: int) -> None:
    check(arch, image_size)


def test_names_are_checked_without_importing_torch() -> None:
    code = (
        "import sys, infer.models, infer.models.names\n"
        "infer.models.check('convnet3_w64')\n"
        "print([name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
