"""Compensators at a fraction of the resolution, changed on purpose, and composed images that went through JPEG."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from infer.distilled.compose import ComposedOnDemand, compose, decoded, enlarged
from infer.distilled.folder import load
from infer.errors import UsageError
from infer.methods.infer import Ablation
from infer.methods.registry import distilled_set
from infer.methods.sets.ablated import ablated
from infer.normalisation import Normalisation

NORMALISATION = Normalisation((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
FUNCTIONS = [each for each in Ablation if each not in (Ablation.none, Ablation.per_class)]
WORDS = [
    ("method.composed_codec=jpeg",),
    ("method.compensator_scale=2",),
    ("method.ablation=per_class",),
    *((f"method.ablation={each.value}",) for each in FUNCTIONS),
    ("method.composed_codec=jpeg", "method.compensator_scale=2", "method.ablation=shuffled"),
]


@pytest.mark.parametrize("words", WORDS)
def test_labels_students_and_readers_see_the_same_images(make_context, words):
    images = distilled_set(make_context(*words))
    seen = images.images().pixels
    assert len(seen) == images.num_images == len(images.targets())
    labelled = torch.full_like(seen, torch.nan)
    for block in images.blocks:
        labelled[block.rows] = block.images()[: len(block.rows)]
    assert torch.equal(labelled, seen)
    written = load(images.context.folder(images))
    assert torch.equal(written.images, seen) and torch.equal(written.targets, images.targets())
    on_demand = ComposedOnDemand(*images.parts(), images.context.data.normalisation, images._codec)
    assert torch.equal(on_demand[:], seen)


@pytest.mark.parametrize("words", WORDS)
def test_each_setting_has_a_signature_of_its_own(make_context, words):
    def signatures(*words):
        images = distilled_set(make_context(*words))
        return images.signature, {group.signature for groups in images.groups for group in groups}

    usual, own = signatures(), signatures(*words)
    assert own[0] != usual[0]
    is_optimised_otherwise = any("scale" in word or "per_class" in word for word in words)
    assert (own[1] != usual[1]) == is_optimised_otherwise


def test_bytes_and_charge_are_those_of_what_is_stored(make_context):
    image = 3 * 8 * 8
    small, per_class, jpeg = (
        distilled_set(make_context(word))
        for word in ("method.compensator_scale=2", "method.ablation=per_class", "method.composed_codec=jpeg")
    )
    assert small.bytes.compensators == 2 * 3 * (image // 4 + 12) and small.ipc_charged == pytest.approx(3 * 1.05)
    assert per_class.bytes.compensators == 2 * 3 * 10 * (image + 12) and per_class.ipc_charged == pytest.approx(9)
    usual = distilled_set(make_context())
    assert (jpeg.bytes, jpeg.ipc_charged) == (usual.bytes, usual.ipc_charged)
    assert distilled_set(make_context("method.compensator_scale=4", "K=null", "ipc=10")).subsets == 1600 // 162


def test_a_scale_that_does_not_divide_the_image_and_other_impossible_settings(make_context):
    with pytest.raises(UsageError, match="method.compensator_scale=3.* 8x8"):
        distilled_set(make_context("method.compensator_scale=3"))
    with pytest.raises(UsageError, match="method.ablation=low_passed .* 1x1 pixels"):
        distilled_set(make_context("method.ablation=low_passed", "method.compensator_scale=8"))
    with pytest.raises(UsageError, match="method.ablation=shuffled.*method.group=5"):
        make_context("method.ablation=shuffled", "method.group=1")
    with pytest.raises(UsageError, match="method.class_chunk=3.*method.class_chunk=null"):
        make_context("method.ablation=per_class", "method.class_chunk=3")


@pytest.mark.parametrize("ablation", FUNCTIONS)
def test_ablations_are_what_they_say(ablation):
    u = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = ablated(u, ablation, 0, "resnet8", range(4, 7))
    assert changed.shape == u.shape and changed.dtype == u.dtype
    norms, expected = changed.flatten(1).norm(dim=1), u.flatten(1).norm(dim=1)
    match ablation:
        case Ablation.noise:
            torch.testing.assert_close(norms, expected)
            assert torch.cosine_similarity(changed.flatten(1), u.flatten(1)).abs().max() < 0.25
            alone = ablated(u[1:2], ablation, 0, "resnet8", range(5, 6))
            assert torch.equal(alone[0], changed[1])
            assert not torch.equal(ablated(u, ablation, 0, "resnet14", range(4, 7)), changed)
        case Ablation.shuffled:
            assert torch.equal(changed, u[[1, 2, 0]])
        case Ablation.low_passed:
            means = u.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
            torch.testing.assert_close(changed, F.interpolate(means, scale_factor=2, mode="bilinear"))
        case Ablation.halved | Ablation.doubled:
            assert torch.equal(changed, u * (0.5 if ablation is Ablation.halved else 2))


def test_jpeg_leaves_the_bytes_of_natural_images_to_the_compression_alone():
    grey = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(-1, 3, 16, 16)
    seen = decoded(NORMALISATION.normalise(grey), NORMALISATION, "jpeg")
    assert torch.equal(NORMALISATION.to_bytes(seen), grey)  # a flat image survives JPEG, a level less would be seen


def test_jpeg_truncates_and_halves_the_chroma():
    images = (torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5) * 4
    low, high = NORMALISATION.valid_range
    images = images.clamp(low, high)
    seen = decoded(images, NORMALISATION, "jpeg")
    for image, found in zip(images, seen, strict=True):
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (NORMALISATION.mean, NORMALISATION.std))
        levels = ((image * std + mean) * 255 + 1 / 256).clamp(0, 255).byte()
        file = io.BytesIO()
        Image.fromarray(levels.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=75)
        assert Image.open(file).layer[0][1:3] == (2, 2)  # 4:2:0, PIL's default at this quality
        expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        torch.testing.assert_close(found, (expected / 255 - mean) / std)
    assert decoded(images, NORMALISATION, "exact") is images
    with pytest.raises(UsageError, match="composed_codec='webp'"):
        decoded(images, NORMALISATION, "webp")


@pytest.mark.parametrize("per_class", [False, True])
def test_small_compensators_are_enlarged_when_composed(per_class):
    natural = torch.randint(0, 256, (2, 4, 3, 8, 8), dtype=torch.uint8)
    shape = (1, 2, 4, 3, 4, 4) if per_class else (1, 2, 3, 4, 4)
    u = 0.3 * torch.randn(shape)
    composed = compose(natural, u, NORMALISATION).view(2, 2, 4, 3, 8, 8)
    low, high = NORMALISATION.valid_range
    for k in range(2):
        for c in range(4):
            own = u[0, k, c] if per_class else u[0, k]
            large = F.interpolate(own[None], scale_factor=2, mode="bilinear")[0]
            expected = (NORMALISATION.normalise(natural[k, c]) + large).clamp(low, high)
            torch.testing.assert_close(composed[k, 1, c], expected)


def test_enlarging_leaves_a_full_size_alone_and_is_linear():
    u, v = torch.randn(2, 3, 3, 4, 4, dtype=torch.float64)
    assert enlarged(u, 4) is u
    torch.testing.assert_close(enlarged(u + 2 * v, 8), enlarged(u, 8) + 2 * enlarged(v, 8))
