"""ImageNet, its subsets and Tiny-ImageNet out of trees that are laid out as the published ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models, transforms

import infer.data
from infer.config.dataset import ImagenetConfig, TinyImagenetConfig
from infer.data import imagenet
from infer.data.holdout import holdout
from infer.data.imagenet import imagenet_outputs, imagenet_wnids
from infer.data.on_demand import OnDemand
from infer.errors import UsageError
from infer.models import build
from infer.models.checkpoints import fitted_weights

WNIDS = ["n02102040", "n01440764", "n03888257"]  # English springer, tench, parachute: not sorted
STATISTICS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def picture(seed: int, width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three classes of ImageNet and one folder more: two training images and one validation image each."""
    seed = 0
    for split, count in (("train", 2), ("val", 1)):
        for wnid in [*WNIDS, "n04152593"]:
            folder = tmp_path / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                picture(seed := seed + 1, 300 + 10 * number, 280).save(folder / f"{wnid}_{number}.JPEG", quality=95)
    return tmp_path


@pytest.fixture
def load(tmp_path: Path):
    def load(config: object) -> infer.data.base.ImageDataset:
        return infer.data.load(config, tmp_path / "cache", threads=2)

    return load


def subset(root: Path, **settings: object) -> ImagenetConfig:
    return ImagenetConfig(**{"name": "three", "root": str(root), "wnids": WNIDS, **STATISTICS, **settings})


def test_classes_are_numbered_by_sorted_wnid_and_other_folders_are_left_alone(tree, load):
    data = load(subset(tree))
    assert data.classes == sorted(WNIDS) and data.train_counts == [2, 2, 2]
    assert data.train.targets.tolist() == [0, 0, 1, 1, 2, 2] and data.test.targets.tolist() == [0, 1, 2]


@pytest.mark.parametrize("in_memory", [True, False])
def test_pixels_are_those_of_torchvisions_validation_transform(tree, load, in_memory):
    data = load(subset(tree, in_memory=in_memory))
    published = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()])
    file = tree / "val" / "n02102040" / "n02102040_0.JPEG"
    expected = published(Image.open(file).convert("RGB"))
    assert isinstance(data.test.images, OnDemand) is not in_memory
    assert torch.equal(data.test.images[torch.tensor([1])][0], expected)


def test_the_fingerprint_is_that_of_names_and_sizes_and_of_the_way_to_the_pixels(tree, load):
    first = load(subset(tree)).fingerprint
    assert load(subset(tree, in_memory=False)).fingerprint == first
    assert load(subset(tree, resize=224)).fingerprint != first
    assert load(subset(tree, wnids=WNIDS[:2])).fingerprint != first
    with (tree / "val" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG").open("ab") as file:
        file.write(b"\0")
    assert load(subset(tree)).fingerprint != first


def test_missing_classes_are_counted_and_named(tree, load, refusal):
    told = refusal(load, ImagenetConfig(name="imagenet1k", root=str(tree), **STATISTICS))
    assert "has 4 of the 1000 class folders of imagenet1k (missing: n01443537, " in told and "992 more" not in told
    assert "and 991 more" in told and "dataset.root=<folder>" in told


def test_a_root_that_is_not_there(tmp_path, load, refusal):
    assert "is not a folder: give dataset.root=" in refusal(load, subset(tmp_path / "nowhere"))


def test_a_tree_without_validation_images_can_be_tested_on_its_training_images_and_says_so(tree, load):
    data = load(subset(tree / "train", train=".", test="."))
    assert data.test.targets.tolist() == data.train.targets.tolist()
    assert "the test images are the training images" in data.notes[0]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"resize": 200}, "dataset.resize=200"),
        ({"wnids": ["n01440764"]}, "at least two classes"),
        ({"wnids": ["n01440764"] * 2}, "dataset.wnids"),
        ({"mean": [0.5, 0.5]}, "dataset.mean"),
    ],
)
def test_settings_out_of_range(tmp_path, settings, told):
    with pytest.raises(UsageError, match=told.replace("[", r"\[")):
        subset(tmp_path, **settings)


def test_the_order_of_all_classes_is_that_of_torchvisions_outputs():
    wnids = imagenet_wnids()
    assert len(wnids) == 1000 and wnids == sorted(wnids)
    categories = models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    named = {
        "n01440764": "tench",
        "n02102040": "English springer",
        "n03888257": "parachute",
        "n15075141": "toilet tissue",
    }
    assert {wnid: categories[wnids.index(wnid)] for wnid in named} == named


def test_outputs_of_a_subset_and_of_something_else():
    assert imagenet_outputs(sorted(WNIDS)) == [0, 217, 701]
    assert imagenet_outputs(["cat", "dog"]) is None
    assert imagenet_outputs(["n01440764", "n99999999"]) is None


def test_a_subset_takes_its_outputs_from_a_network_of_all_classes():
    whole, part = (build("torchvision/resnet18", classes, 64).eval() for classes in (1000, 3))
    outputs = [0, 217, 701]
    part.load_state_dict(fitted_weights(part.state_dict(), whole.state_dict(), "a file", outputs))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(part(images), whole(images)[:, outputs])
    with pytest.raises(UsageError, match=r"fc\.weight is \[1000, 512\]"):
        fitted_weights(part.state_dict(), whole.state_dict(), "a file")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch) -> Path:
    """Two classes of two training and one validation image, as tiny-imagenet-200.zip has them."""
    monkeypatch.setattr(imagenet, "_TINY_CLASSES", 2)
    classes = ["n02124075", "n01443537"]
    for wnid in classes:
        folder = tmp_path / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for number in range(2):
            picture(number, 60, 60).resize((64, 64)).save(folder / f"{wnid}_{number}.JPEG")
        (folder.parent / f"{wnid}_boxes.txt").write_text("")
    (tmp_path / "wnids.txt").write_text("\n".join(classes))
    (tmp_path / "test" / "images").mkdir(parents=True)
    picture(9, 60, 60).save(tmp_path / "test" / "images" / "test_0.JPEG")
    images = tmp_path / "val" / "images"
    images.mkdir(parents=True)
    lines = []
    for number, wnid in enumerate(classes):
        picture(20 + number, 60, 60).resize((64, 64)).save(images / f"val_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    return tmp_path


def tiny_config(root: Path) -> TinyImagenetConfig:
    return TinyImagenetConfig(root=str(root), **STATISTICS)


def test_tiny_imagenet_as_it_is_published(tiny, load):
    data = load(tiny_config(tiny))
    assert data.classes == ["n01443537", "n02124075"] and data.train_counts == [2, 2] and data.image_size == 64
    assert data.test.targets.tolist() == [0, 1]
    assert data.train.images.shape == (4, 3, 64, 64) and data.test.images.shape == (2, 3, 64, 64)
    second = np.asarray(Image.open(tiny / "val" / "images" / "val_1.JPEG"))  # of class n01443537
    assert torch.equal(data.test.images[0], torch.from_numpy(second.transpose(2, 0, 1).copy()))


def test_tiny_imagenet_with_validation_images_sorted_into_folders(tiny, load):
    published = load(tiny_config(tiny)).test
    annotations = tiny / "val" / "val_annotations.txt"
    for line in annotations.read_text().splitlines():
        name, wnid, *_ = line.split("\t")
        (tiny / "val" / wnid).mkdir()
        (tiny / "val" / "images" / name).rename(tiny / "val" / wnid / name)
    annotations.unlink()
    (tiny / "val" / "images").rmdir()
    again = load(tiny_config(tiny)).test
    assert torch.equal(again.images, published.images) and torch.equal(again.targets, published.targets)


def test_tiny_imagenet_with_a_class_too_few(tiny, load, refusal, monkeypatch):
    monkeypatch.setattr(imagenet, "_TINY_CLASSES", 200)
    told = refusal(load, tiny_config(tiny))
    assert "has 2 class folders named by WNIDs, not 200" in told and "tiny-imagenet-200" in told


def test_annotations_of_images_that_are_not_there(tiny, load, refusal):
    (tiny / "val" / "images" / "val_1.JPEG").unlink()
    assert "names images that are not in val/images: val_1.JPEG" in refusal(load, tiny_config(tiny))


def test_a_person_is_told_words_for_wnids_and_other_classes_as_they_are():
    assert imagenet.in_words(["n03888257", "n01440764"]) == ["parachute", "tench"]
    assert imagenet.in_words(["cat", "dog"]) == ["cat", "dog"]


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_files_are_there_as_they_are(tree, load, in_memory):
    data = load(subset(tree, in_memory=in_memory))
    rows = torch.tensor([3, 0])
    files = [tree / "train" / "n02102040" / "n02102040_1.JPEG", tree / "train" / "n01440764" / "n01440764_0.JPEG"]
    expected = [transforms.functional.pil_to_tensor(Image.open(file)) for file in files]
    assert [image.shape[1:] for image in expected] == [(280, 310), (280, 300)]
    assert data.is_resized and len(data.train.originals) == 6
    for found in (data.train.originals[rows], data.train.only(rows).originals[torch.tensor([0, 1])]):
        assert all(map(torch.equal, found, expected))


def test_a_held_out_part_has_its_own_files(tree, load):
    data = holdout(load(subset(tree)), 0.5, seed=0)
    for split in (data.train, data.val):
        for image, original in zip(split.images, split.originals[torch.arange(len(split.originals))], strict=True):
            whole = transforms.functional.to_pil_image(original)
            made = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()])
            assert torch.equal(made(whole), image)
