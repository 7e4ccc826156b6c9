"""RDED on files of any size: crops of the files' own pixels, against one crop at a time in plain Python."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import RandomResizedCrop

from infer.methods.registry import distilled_set
from infer.methods.sets import crop_scores
from infer.methods.sets.crop_scores import CropScores
from infer.methods.sets.square_crops import squares_within
from infer.seeds import generator
from infer.teachers.teacher import Teacher
from infer.training.random_resized_crop import ATTEMPTS

WNIDS = ["n01440764", "n02102040", "n03888257"]
SIZES = [(40, 30), (24, 61), (90, 33), (20, 20), (17, 100)]  # width, height
SIZE, CROPS, SCALE_MIN = 16, 3, 0.08
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Five training images of each class, each of another size, and one for tests."""
    root, drawn = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    for split, sizes in (("train", SIZES), ("val", SIZES[:1])):
        for wnid in WNIDS:
            (root / split / wnid).mkdir(parents=True)
            for number, (width, height) in enumerate(sizes):
                coarse = drawn.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((width, height)).save(root / split / wnid / f"{number}.JPEG", quality=95)
    return root


@pytest.fixture(scope="module")
def rded_set(make_context, root):
    def make(*words: str):
        data = [f"dataset.root={root}", "dataset.name=files", f"dataset.wnids=[{','.join(WNIDS)}]"]
        sizes = [f"dataset.image_size={SIZE}", "dataset.resize=18", "method.factor=2", f"method.crops={CROPS}"]
        teacher = ["teachers.archs=[convnet3_w32_batchnorm]", "teachers.checkpoints=null", "teachers.batch_size=5"]
        words = (*data, *sizes, *teacher, "teachers.epochs=1", "ipc=1", "K=null", *words)
        return distilled_set(make_context("dataset=imagenet1k", "method=rded", *words))

    return make


def scores_of(images) -> CropScores:
    (scores,) = images.parents.values()
    return scores


def decoded(root: Path, row: int) -> np.ndarray:
    target, number = divmod(row, len(SIZES))
    with Image.open(root / "train" / WNIDS[target] / f"{number}.JPEG") as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64).transpose(2, 0, 1)


def first_square_that_fits(uniform: np.ndarray, height: int, width: int) -> list[int]:
    """RandomResizedCrop.get_params with a ratio of one."""
    for share in uniform[:10]:
        side = round(math.sqrt(height * width * (SCALE_MIN + (1 - SCALE_MIN) * share)))
        if 0 < side <= min(height, width):
            top, left = (
                int(position * (length - side + 1))
                for position, length in zip(uniform[10:], (height, width), strict=True)
            )
            return [top, left, side]
    side = min(height, width)
    return [(height - side) // 2, (width - side) // 2, side]


def resampled(crop: np.ndarray, size: int) -> np.ndarray:
    """[3, side, side] to [3, size, size]: the mean of the pixels under a triangle, by definition."""
    side = crop.shape[1]
    step = side / size
    weights = np.zeros((size, side))
    for new in range(size):
        for old in range(side):
            distance = abs(old + 0.5 - (new + 0.5) * step) / max(step, 1)
            weights[new, old] = max(0, 1 - distance)
    weights /= weights.sum(1, keepdims=True)
    return weights @ crop @ weights.T


def reference(root: Path, network: nn.Module, row: int, place: int, patch: int) -> tuple[list[int], float, np.ndarray]:
    """Best square of an image, its cross-entropy, and its patch as pixel values."""
    image, target = decoded(root, row), row // len(SIZES)
    uniform = generator(0, "scored crops", target).random((len(SIZES), CROPS, ATTEMPTS + 2))[place]
    found = []
    for numbers in uniform:
        top, left, side = first_square_that_fits(numbers, *image.shape[1:])
        pixels = resampled(image[:, top : top + side, left : left + side], patch)
        padded = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.float64)
        before = (SIZE - patch) // 2
        normalised = (pixels / 255 - MEAN[:, None, None]) / STD[:, None, None]
        padded[0, :, before : before + patch, before : before + patch] = torch.from_numpy(normalised)
        with torch.no_grad():
            loss = F.cross_entropy(network(padded), torch.tensor([target])).item()
        found.append(([top, left, side], loss, pixels))
    return min(found, key=lambda each: each[1])


@pytest.mark.parametrize("in_memory", ["true", "false"])
def test_scores_and_images_are_of_crops_of_the_files_own_pixels(rded_set, root, in_memory, monkeypatch):
    monkeypatch.setattr(crop_scores, "_CROPS_PER_BATCH", 7)  # two images in a batch, one in the last
    images = rded_set(f"dataset.in_memory={in_memory}")
    context, scores = images.context, scores_of(images)
    network = Teacher(context, context.config.ensemble[0]).network()
    exact = copy.deepcopy(network).double()
    stored = images.images().pixels.view(len(WNIDS), 3, 2, SIZE // 2, 2, SIZE // 2)
    for target in range(len(WNIDS)):
        known = scores.outputs_for(
            network, target, scores.images_of(target), lambda count: None
        )  # not out of the store: these are made either way
        assert sorted(known["index"].tolist()) == list(range(5 * target, 5 * target + 5))
        best = []
        for place, row in enumerate(known["index"].tolist()):
            square, loss, pixels = reference(root, exact, row, place, SIZE // 2)
            assert known["square"][place].tolist() == square
            assert known["cross_entropy"][place].item() == pytest.approx(loss, rel=1e-4)
            best.append((loss, pixels))
        for rank, (_, pixels) in enumerate(sorted(best, key=lambda each: each[0])[:4]):
            patch = stored[target, :, rank // 2, :, rank % 2].numpy()
            assert np.abs(patch - pixels).max() <= 0.5 + 1e-3


def test_squares_reach_beyond_the_centre_crop(rded_set):
    squares = torch.cat([scores_of(rded_set()).of_class(target)["square"] for target in range(len(WNIDS))])
    assert (squares.sum(1) > 2 * SIZE).any(), "none lies outside of an image of 16 pixels"


@pytest.mark.parametrize(("height", "width"), [(375, 500), (33, 90), (20, 200), (200, 20), (64, 64)])
def test_squares_are_as_frequent_as_torchvision_s(height, width):
    torch.manual_seed(0)
    crop, image, count = RandomResizedCrop(8, scale=(0.08, 1), ratio=(1, 1)), torch.empty(3, height, width), 3000
    theirs = np.array(
        [[p[key] for key in ("top", "left", "height")] for p in (crop.make_params([image]) for _ in range(count))]
    )
    uniform = np.random.default_rng(1).random((count, ATTEMPTS + 2))
    ours = squares_within(uniform, torch.Size((height, width)), 0.08).numpy()
    assert (ours >= 0).all() and (ours[:, :2].T + ours[:, 2] <= np.array([[height], [width]])).all()
    spread = theirs.std(0) * np.sqrt(2 / count) + 1e-9
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 4 * spread).all()
    assert np.abs(ours.std(0) - theirs.std(0)).max() <= 0.06 * theirs.std(0).max()


def test_a_square_that_never_fits_is_the_largest_in_the_middle():
    uniform = np.full((1, ATTEMPTS + 2), 0.99)
    assert squares_within(uniform, torch.Size((20, 51)), 0.08).tolist() == [[0, 15, 20]]
    assert squares_within(uniform, torch.Size((51, 20)), 0.08).tolist() == [[15, 0, 20]]


def test_only_files_that_are_resized_have_a_signature_of_their_own(rded_set, make_context):
    assert scores_of(rded_set()).settings["crops_of"] == "files"
    fixed = scores_of(distilled_set(make_context("method=rded", "K=null", "ipc=3")))
    assert set(fixed.settings) == {"data", "classes", "seed", "factor", "crops", "images_per_class", "scale_min"}
