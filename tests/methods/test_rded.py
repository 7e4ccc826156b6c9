"""RDED: crops against torchvision's, scores and images against one crop at a time in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import RandomResizedCrop
from torchvision.transforms.v2 import functional as one_by_one

from infer.errors import UsageError
from infer.methods.rded import RdedMethod
from infer.methods.registry import distilled_set
from infer.methods.sets import crop_scores
from infer.methods.sets.crop_scores import crop_losses
from infer.methods.sets.rded_set import tile
from infer.methods.sets.square_crops import square_crops
from infer.normalisation import Normalisation
from infer.teachers.teacher import Teacher
from infer.training.images import Images
from infer.training.resampling import resized_crops

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
NORMALISATION = Normalisation.of(MEAN, STD)


def reference_crop(image: Tensor, square: list[int], size: int) -> Tensor:
    top, left, side = square
    return one_by_one.resized_crop(image, top, left, side, side, [size, size], antialias=True)


@pytest.mark.parametrize(("image_size", "size"), [(32, 32), (32, 16), (17, 5), (8, 8), (7, 9)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_crops_are_torchvision_s(image_size, size, dtype, tolerance):
    drawn = np.random.default_rng(0)
    images = torch.from_numpy(drawn.integers(0, 256, (4, 3, image_size, image_size))).to(dtype)
    squares = square_crops(drawn.random((4, 6, 3)), image_size, 0.02)
    squares[0, 0], squares[0, 1] = torch.tensor([0, 0, image_size]), torch.tensor([image_size - 1, 0, 1])
    crops = resized_crops(images, squares, size)
    for image, of_image, boxes in zip(images, crops, squares.tolist(), strict=True):
        expected = torch.stack([reference_crop(image, box, size) for box in boxes])
        torch.testing.assert_close(of_image, expected, rtol=tolerance, atol=tolerance * 255)


def test_squares_lie_in_the_image_and_reach_its_edges():
    top, left, side = square_crops(np.random.default_rng(0).random((20_000, 3)), 16, 0.25).unbind(-1)
    assert side.min() == 8 and side.max() == 16
    assert min(top.min(), left.min()) == 0 and (top + side).max() == (left + side).max() == 16
    extremes = square_crops(np.array([[0, 0, 0], [0, 1 - 2**-53, 0], [1 - 2**-53, 0.5, 0.5]]), 16, 0.25)
    assert extremes.tolist() == [[0, 0, 8], [8, 0, 8], [0, 0, 16]]
    assert square_crops(np.zeros((1, 3)), 8, 1e-6).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("image_size", [8, 17, 32, 224])
def test_the_area_of_a_square_is_the_drawn_one_rounded(image_size):
    uniform = np.random.default_rng(0).random((250_000, 3))
    share = 0.02 + 0.98 * uniform[:, 0]
    expected = np.rint(image_size * np.sqrt(share)).astype(np.int64)
    assert (square_crops(uniform, image_size, 0.02)[:, 2].numpy() == expected).all()


def test_squares_are_as_frequent_as_torchvision_s():
    torch.manual_seed(0)
    crop, image, count = RandomResizedCrop(8, scale=(0.08, 1), ratio=(1, 1)), torch.empty(3, 32, 32), 4000
    theirs = np.array(
        [[p[key] for key in ("top", "left", "height")] for p in (crop.make_params([image]) for _ in range(count))]
    )
    ours = square_crops(np.random.default_rng(1).random((count, 3)), 32, 0.08).numpy()
    spread = theirs.std(0) * np.sqrt(2 / count)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 4 * spread).all()
    assert np.abs(ours.std(0) / theirs.std(0) - 1).max() < 0.05


@pytest.fixture(scope="module")
def observer() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 4))
    network.train()
    for _ in range(5):
        network(torch.randn(32, 3, 8, 8))
    return network.eval()


@pytest.mark.parametrize("patch_size", [8, 4, 5])
def test_losses_are_those_of_one_crop_at_a_time(observer, patch_size, monkeypatch):
    monkeypatch.setattr(crop_scores, "_CROPS_PER_BATCH", 7)  # two images in a batch, one in the last
    drawn = np.random.default_rng(0)
    pixels = torch.from_numpy(drawn.integers(0, 256, (5, 3, 8, 8), dtype=np.uint8))
    squares = square_crops(drawn.random((5, 3, 3)), 8, 0.1)
    losses = crop_losses(observer, Images(pixels, NORMALISATION), squares, patch_size, 2, torch.device("cpu"))
    exact = observer.double()
    before = (8 - patch_size) // 2
    for i, j in np.ndindex(5, 3):
        crop = reference_crop(pixels[i].double() / 255, squares[i, j].tolist(), patch_size)
        crop = one_by_one.normalize(crop, MEAN, STD)
        padded = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
        padded[0, :, before : before + patch_size, before : before + patch_size] = crop
        expected = F.cross_entropy(exact(padded), torch.tensor([2]))
        assert losses[i, j].item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    observer.float()


def test_tiles_take_one_patch_of_each_rank_s_share():
    patches = torch.arange(12).view(12, 1, 1, 1).expand(12, 3, 2, 2)
    images = tile(patches, 2)
    assert images.shape == (3, 3, 4, 4)
    for i, image in enumerate(images):
        assert image[0, ::2, ::2].tolist() == [[i, 3 + i], [6 + i, 9 + i]]
        assert torch.equal(image[1], image[0, ::2, ::2].repeat_interleave(2, 0).repeat_interleave(2, 1))
    pixels = torch.randint(0, 256, (5, 3, 8, 8))
    assert torch.equal(tile(pixels, 1), pixels)


def rded_set(make_context, *words: str):
    return distilled_set(make_context("method=rded", "K=null", "ipc=3", *words))


def scores_of(images):
    (scores,) = images.parents.values()
    return scores


def test_every_scored_image_keeps_its_best_crop(make_context):
    images = rded_set(make_context, "method.images_per_class=40", "method.crops=4")
    context, known = images.context, scores_of(images).of_class(7)
    assert len(known["index"].unique()) == 40 and (context.data.train.targets[known["index"]] == 7).all()
    network = Teacher(context, context.config.ensemble[0]).network()
    pixels = Images(context.data.train.images[known["index"]], context.data.normalisation)
    again = crop_losses(network, pixels, known["square"].unsqueeze(1), 8, 7, context.device)
    torch.testing.assert_close(again[:, 0], known["cross_entropy"])
    more = scores_of(rded_set(make_context, "method.images_per_class=40", "method.crops=1")).of_class(7)
    assert torch.equal(more["index"], known["index"])
    assert known["cross_entropy"].mean() < more["cross_entropy"].mean()


def test_fewer_scored_images_are_the_first_of_more(make_context):
    few, many = (
        scores_of(rded_set(make_context, f"method.images_per_class={count}")).of_class(2) for count in (20, 50)
    )
    assert torch.equal(few["index"], many["index"][:20]) and torch.equal(few["square"], many["square"][:20])
    torch.testing.assert_close(few["cross_entropy"], many["cross_entropy"][:20])


def test_scoring_again_gives_the_same_bits(make_context):
    scores = scores_of(rded_set(make_context))
    stored, again = scores.of_class(5), scores.outputs_for(scores.network(), 5, scores.images_of(5), lambda count: None)
    assert stored.keys() == again.keys() and all(torch.equal(stored[key], again[key]) for key in stored)


@pytest.mark.parametrize("factor", [1, 2])
def test_images_are_the_best_crops_of_their_class_rounded(make_context, factor):
    images = rded_set(make_context, f"method.factor={factor}", "method.scale_min=0.3")
    size = 8 // factor
    stored = images.images().pixels.view(10, 3, 3, factor, size, factor, size)
    assert torch.equal(images.targets(), torch.arange(10).repeat_interleave(3))
    for c in range(10):
        known = scores_of(images).of_class(c)
        best = np.argsort(known["cross_entropy"].numpy(), kind="stable")[: 3 * factor**2]
        for rank, row in enumerate(best):
            pixels = images.context.data.train.images[known["index"][row]].double()
            crop = reference_crop(pixels, known["square"][row].tolist(), size)
            place, image = divmod(rank, 3)
            patch = stored[c, image, :, place // factor, :, place % factor]
            assert (patch - crop).abs().max() <= 0.5 + 1e-3


def test_a_sweep_over_ipc_scores_once(make_context):
    sizes = [rded_set(make_context, f"ipc={ipc}") for ipc in (2, 5)]
    assert scores_of(sizes[0]).signature == scores_of(sizes[1]).signature
    assert sizes[0].signature != sizes[1].signature
    small, large = (images.images().pixels.unflatten(0, (10, -1)) for images in sizes)
    assert torch.equal(small, large[:, :2])  # factor 1: an image is a patch


def test_what_cannot_be_made_is_refused_before_any_work(make_context):
    with pytest.raises(UsageError, match="method.factor=3 does not divide .* 8 pixels"):
        rded_set(make_context, "method.factor=3")
    with pytest.raises(UsageError, match=r"ipc=3 needs 12 patches .* 10 images .* are scored .* Type ipc=2 or less"):
        rded_set(make_context, "method.factor=2", "method.images_per_class=10")
    with pytest.raises(UsageError, match="ipc=200 needs 200 patches"):
        rded_set(make_context, "ipc=200")


@pytest.mark.parametrize(
    ("setting", "value"), [("factor", 0), ("crops", 0), ("images_per_class", 0), ("scale_min", 0), ("scale_min", 1.5)]
)
def test_settings_out_of_range(setting, value):
    with pytest.raises(UsageError, match=f"method.{setting}={value}"):
        RdedMethod(**{setting: value})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_losses_on_a_gpu(observer):
    drawn = np.random.default_rng(0)
    images = Images(torch.from_numpy(drawn.integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)), NORMALISATION)
    squares = square_crops(drawn.random((9, 5, 3)), 8, 0.08)
    expected = crop_losses(observer, images, squares, 4, 1, torch.device("cpu"))
    on_gpu = crop_losses(observer.cuda(), images, squares, 4, 1, torch.device("cuda"))
    observer.cpu()
    torch.testing.assert_close(on_gpu, expected, rtol=1e-3, atol=1e-4)
