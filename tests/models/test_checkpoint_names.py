"""The four CIFAR teachers have the names, shapes, order and sizes of the published checkpoints.

What is expected is generated here from the tables of the published definitions, not from the package.
"""

import math
from collections.abc import Iterator

import pytest

from infer.models import build

Entries = Iterator[tuple[str, tuple[int, ...]]]


def conv(name: str, out_width: int, in_width: int, kernel: int = 1, *, bias: bool = False) -> Entries:
    yield f"{name}.weight", (out_width, in_width, kernel, kernel)
    if bias:
        yield f"{name}.bias", (out_width,)


def norm(name: str, width: int) -> Entries:
    for entry in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{entry}", (width,)
    yield f"{name}.num_batches_tracked", ()


def linear(name: str, out_width: int, in_width: int) -> Entries:
    yield f"{name}.weight", (out_width, in_width)
    yield f"{name}.bias", (out_width,)


def resnet18(classes: int) -> Entries:
    yield from conv("conv1", 64, 3, 3)
    yield from norm("bn1", 64)
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            prefix = f"layer{stage}.{block}"
            yield from conv(f"{prefix}.conv1", width, before, 3)
            yield from norm(f"{prefix}.bn1", width)
            yield from conv(f"{prefix}.conv2", width, width, 3)
            yield from norm(f"{prefix}.bn2", width)
            if before != width:
                yield from conv(f"{prefix}.downsample.0", width, before)
                yield from norm(f"{prefix}.downsample.1", width)
            before = width
    yield from linear("fc", classes, 512)


def mobilenetv2(classes: int) -> Entries:
    yield from conv("conv1", 32, 3, 3)
    yield from norm("bn1", 32)
    widths = [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
    strided = {3, 6, 13}  # the blocks of stride 2: they have no shortcut
    before = 32
    for block, width in enumerate(widths):
        prefix, hidden = f"layers.{block}", before * (1 if block == 0 else 6)
        yield from conv(f"{prefix}.conv1", hidden, before)
        yield from norm(f"{prefix}.bn1", hidden)
        yield from conv(f"{prefix}.conv2", hidden, 1, 3)
        yield from norm(f"{prefix}.bn2", hidden)
        yield from conv(f"{prefix}.conv3", width, hidden)
        yield from norm(f"{prefix}.bn3", width)
        if before != width and block not in strided:
            yield from conv(f"{prefix}.shortcut.0", width, before)
            yield from norm(f"{prefix}.shortcut.1", width)
        before = width
    yield from conv("conv2", 1280, 320)
    yield from norm("bn2", 1280)
    yield from linear("linear", classes, 1280)


def efficientnet_b0(classes: int) -> Entries:
    yield from conv("conv1", 32, 3, 3)
    yield from norm("bn1", 32)
    widths = [16] + [24] * 2 + [40] * 2 + [80] * 3 + [112] * 3 + [192] * 4 + [320]
    kernels = [3] + [3] * 2 + [5] * 2 + [3] * 3 + [5] * 3 + [5] * 4 + [3]
    before = 32
    for block, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        prefix, hidden = f"layers.{block}", before * (1 if block == 0 else 6)
        yield from conv(f"{prefix}.conv1", hidden, before)
        yield from norm(f"{prefix}.bn1", hidden)
        yield from conv(f"{prefix}.conv2", hidden, 1, kernel)
        yield from norm(f"{prefix}.bn2", hidden)
        yield from conv(f"{prefix}.se.se1", before // 4, hidden, bias=True)
        yield from conv(f"{prefix}.se.se2", hidden, before // 4, bias=True)
        yield from conv(f"{prefix}.conv3", width, hidden)
        yield from norm(f"{prefix}.bn3", width)
        before = width
    yield from linear("linear", classes, 320)


def shufflenet_g2(classes: int) -> Entries:
    yield from conv("conv1", 24, 3)
    yield from norm("bn1", 24)
    before = 24
    for stage, (width, count) in enumerate(((200, 4), (400, 8), (800, 4)), start=1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            made = width - before if block == 0 else width
            yield from conv(f"{prefix}.conv1", made // 4, before if before == 24 else before // 2)
            yield from norm(f"{prefix}.bn1", made // 4)
            yield from conv(f"{prefix}.conv2", made // 4, 1, 3)
            yield from norm(f"{prefix}.bn2", made // 4)
            yield from conv(f"{prefix}.conv3", made, made // 8)
            yield from norm(f"{prefix}.bn3", made)
            before = width
    yield from linear("linear", classes, 800)


PUBLISHED = {
    # name: (entries, number of entries, values with buffers, trainable values), the numbers at 10 classes
    "resnet18": (resnet18, 122, 11_183_582, 11_173_962),
    "mobilenetv2": (mobilenetv2, 344, 2_332_067, 2_296_922),
    "efficientnet_b0": (efficientnet_b0, 360, 3_639_255, 3_599_686),
    "shufflenet_g2": (shufflenet_g2, 296, 907_407, 887_582),
}


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("arch", PUBLISHED)
def test_names_shapes_and_order_are_those_of_the_published_checkpoints(arch: str, classes: int) -> None:
    state = build(arch, classes, image_size=32).state_dict()
    expected = PUBLISHED[arch][0]
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(expected(classes))


@pytest.mark.parametrize("arch", PUBLISHED)
def test_sizes_are_those_counted_in_the_published_checkpoints(arch: str) -> None:
    entries, number, values, trainable = PUBLISHED[arch]
    network = build(arch, 10, image_size=32)
    assert len(list(entries(10))) == number
    assert sum(math.prod(shape) for _, shape in entries(10)) == values
    assert sum(value.numel() for value in network.state_dict().values()) == values
    assert sum(parameter.numel() for parameter in network.parameters()) == trainable
