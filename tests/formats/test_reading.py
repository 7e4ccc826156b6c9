"""Every foreign format, written by an independent writer, comes in as it was."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.foreign_writers import MEAN, STD, drawn_images, normalised, write_parquet, write_rded, write_sre2l
from PIL import Image
from torchvision.datasets import ImageFolder

from infer.errors import UsageError
from infer.formats.catalogue import find_format
from infer.formats.foreign_set import ForeignSet
from infer.normalisation import Normalisation
from infer.torch_load import load_foreign

TARGETS = [0, 0, 0, 1, 1, 2]
IMAGES = drawn_images(len(TARGETS))
NAMES = ["ant", "bee", "cat"]


def read(path: Path, expected_format: str, num_classes: int | None = None) -> ForeignSet:
    """The set at ``path``, whose format is found by looking."""
    name, form = find_format(path)
    assert name == expected_format
    return form.read(path, num_classes)


def assert_same_images(found: ForeignSet, images: np.ndarray = IMAGES, targets: list[int] = TARGETS) -> None:
    pixels, _ = found.as_bytes(Normalisation.of(MEAN, STD))
    assert np.array_equal(pixels.numpy().transpose(0, 2, 3, 1), images)
    assert found.targets.tolist() == targets and found.targets.dtype == torch.int64


def refusal(path: Path, given: str = "auto", num_classes: int | None = 3) -> str:
    with pytest.raises(UsageError) as caught:
        find_format(path, given)[1].read(path, num_classes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("write", "name"), [(write_sre2l, "sre2l"), (write_rded, "rded")])
def test_trees_with_numbered_classes(tmp_path: Path, write, name: str) -> None:
    write(tmp_path, IMAGES, TARGETS)
    found = read(tmp_path, name)
    assert_same_images(found)
    assert found.classes is None


def test_the_syn_data_of_an_rded_experiment(tmp_path: Path) -> None:
    write_rded(tmp_path / "syn_data", IMAGES, TARGETS)
    assert_same_images(read(tmp_path, "rded"))


def test_classes_are_numbered_by_name_where_the_sorted_order_differs(tmp_path: Path) -> None:
    write_sre2l(tmp_path, drawn_images(3), [999, 1000, 2])
    assert sorted(read(tmp_path, "sre2l").targets.tolist()) == [2, 999, 1000]


def test_images_stand_in_the_order_of_imagefolder(tmp_path: Path) -> None:
    write_sre2l(tmp_path, drawn_images(1002), [0] * 1002)  # id1000 is sorted before id101
    found = read(tmp_path, "sre2l")
    listed = [np.asarray(Image.open(path)) for path, _ in ImageFolder(str(tmp_path)).samples]
    assert np.array_equal(found.pixels.numpy().transpose(0, 2, 3, 1), np.stack(listed))


def test_a_plain_tree_names_its_classes(tmp_path: Path) -> None:
    for number, (image, target) in enumerate(zip(IMAGES, TARGETS, strict=True)):
        (tmp_path / NAMES[target]).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / NAMES[target] / f"{number}.bmp")
    found = read(tmp_path, "imagefolder")
    assert_same_images(found)
    assert found.classes == NAMES


def test_jpegs_are_decoded_as_pillow_does(tmp_path: Path) -> None:
    write_sre2l(tmp_path, IMAGES, TARGETS, ending="jpg")
    found = read(tmp_path, "sre2l")
    decoded = np.asarray(Image.open(tmp_path / "new001" / "class001_id001.jpg"))
    assert np.array_equal(found.pixels[4].numpy().transpose(1, 2, 0), decoded)


def test_a_file_in_the_wrong_class_folder_is_refused(tmp_path: Path) -> None:
    write_rded(tmp_path, IMAGES, TARGETS)
    (tmp_path / "00001" / "class00001_id00000.png").rename(tmp_path / "00002" / "class00001_id00000.png")
    assert "folder of class 2, but its name says class 1" in refusal(tmp_path)


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_rded(tmp_path, IMAGES, TARGETS)
    write_rded(tmp_path, drawn_images(1, size=9), [2])
    assert "9x9 pixels and" in refusal(tmp_path)


@pytest.mark.parametrize(("suffix", "name"), [("", "ddranking"), ("_best", "mtt")])
def test_tensors_with_classes(tmp_path: Path, suffix: str, name: str) -> None:
    torch.save(normalised(IMAGES), tmp_path / f"images{suffix}.pt")
    torch.save(torch.tensor(TARGETS), tmp_path / f"labels{suffix}.pt")
    torch.save(torch.tensor(0.0123), tmp_path / f"lr{suffix}.pt")
    found = read(tmp_path, name)
    assert_same_images(found)
    assert found.student_lr == pytest.approx(0.0123) and found.soft_labels is None


def test_tensors_with_soft_labels_keep_them(tmp_path: Path) -> None:
    soft = torch.randn(6, 3)
    soft[torch.arange(6), [0, 0, 1, 1, 2, 0]] += 9  # the last one peaks elsewhere
    torch.save(torch.nn.Parameter(normalised(IMAGES)), tmp_path / "images.pt")
    torch.save(soft, tmp_path / "labels.pt")
    found = read(tmp_path, "ddranking")
    assert_same_images(found, targets=[0, 0, 1, 1, 2, 2])
    assert torch.equal(found.soft_labels, soft)
    assert found.notes == ("1 of 6 soft labels peak at another class than that of the image's place",)


def test_soft_labels_in_another_order_are_told(tmp_path: Path) -> None:
    torch.save(normalised(IMAGES), tmp_path / "images.pt")
    torch.save(10 * torch.eye(3)[[2, 1, 0, 2, 1, 0]], tmp_path / "labels.pt")
    assert "may not stand class by class" in read(tmp_path, "ddranking").notes[0]


def test_soft_labels_say_the_classes_where_places_cannot(tmp_path: Path) -> None:
    torch.save(normalised(IMAGES[:5]), tmp_path / "images.pt")
    torch.save(10 * torch.eye(3)[[2, 1, 0, 2, 1]], tmp_path / "labels.pt")
    found = read(tmp_path, "ddranking")
    assert found.targets.tolist() == [2, 1, 0, 2, 1] and "cannot stand class by class" in found.notes[0]


def test_tensors_without_labels_stand_class_by_class(tmp_path: Path) -> None:
    torch.save(normalised(IMAGES), tmp_path / "images.pt")
    assert_same_images(read(tmp_path, "ddranking", num_classes=3), targets=[0, 0, 1, 1, 2, 2])
    assert "--dataset NAME" in refusal(tmp_path, num_classes=None)
    assert "do not divide evenly into 4" in refusal(tmp_path, num_classes=4)


def test_dcs_dictionary_with_numpy_scores(tmp_path: Path) -> None:
    first = [torch.zeros(2, 3, 8, 8), torch.tensor([0, 1])]
    scores = {"ConvNet": [np.float64(0.51), np.float32(0.49)]}
    torch.save(
        {"data": [first, [normalised(IMAGES), torch.tensor(TARGETS)]], "accs_all_exps": scores}, tmp_path / "r.pt"
    )
    assert_same_images(read(tmp_path / "r.pt", "dc"))


def test_the_initial_images_of_ufc(tmp_path: Path) -> None:
    images = drawn_images(11 * 3)
    for k in range(11):  # 10 comes after 9, not after 1
        torch.save(normalised(images[3 * k : 3 * k + 3]), tmp_path / f"tensor_{k}.pt")
    assert_same_images(read(tmp_path, "initial"), images, [0, 1, 2] * 11)
    (tmp_path / "tensor_4.pt").unlink()
    assert "no tensor_4.pt" in refusal(tmp_path)


@pytest.mark.parametrize("columns", [("image", "label"), ("img", "fine_label")])
def test_parquet_of_hugging_face(tmp_path: Path, columns: tuple[str, str]) -> None:
    pytest.importorskip("pyarrow")
    write_parquet(tmp_path / "train-00000-of-00001.parquet", IMAGES, TARGETS, NAMES, *columns)
    write_parquet(tmp_path / "test-00000-of-00001.parquet", IMAGES[:1], [0], NAMES, *columns)
    found = read(tmp_path, "parquet")
    assert_same_images(found)
    assert found.classes == NAMES


def test_parquet_without_metadata_and_in_parts(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "data").mkdir()
    for part, rows in enumerate((slice(0, 4), slice(4, 6))):
        write_parquet(tmp_path / "data" / f"train-{part:05d}-of-00002.parquet", IMAGES[rows], TARGETS[rows], None)
    found = read(tmp_path, "parquet")
    assert_same_images(found)
    assert found.classes is None


def test_values_far_outside_are_counted(tmp_path: Path) -> None:
    images = normalised(IMAGES)
    images[0] += 100
    torch.save(images, tmp_path / "images.pt")
    _, loss = read(tmp_path, "ddranking", 3).as_bytes(Normalisation.of(MEAN, STD))
    assert loss.clipped == pytest.approx(1 / 6) and loss.largest_error > 1000
    assert "another mean and std" in loss.in_words


def test_rounding_of_bytes_that_were_normalised_is_next_to_nothing(tmp_path: Path) -> None:
    torch.save(normalised(IMAGES), tmp_path / "images.pt")
    _, loss = read(tmp_path, "ddranking", 3).as_bytes(Normalisation.of(MEAN, STD))
    assert loss.largest_error < 1e-4 and loss.clipped == 0 and "another mean" not in loss.in_words


def test_what_was_looked_for_is_said(tmp_path: Path) -> None:
    told = refusal(tmp_path)
    assert all(part in told for part in ("images.pt", "tensor_0.pt", "*.parquet", "new000", "00000", "each class"))
    assert "does not exist" in refusal(tmp_path / "nothing")
    assert "there is no *.parquet" in refusal(tmp_path, "parquet")


def test_a_folder_of_labels_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "epoch_0").mkdir()
    (tmp_path / "epoch_0" / "batch_0.tar").touch()
    assert "FKD labels" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (torch.zeros(6, 1, 8, 8), torch.tensor(TARGETS), "[6, 1, 8, 8]"),
        (torch.zeros(6, 3, 8, 9), torch.tensor(TARGETS), "[6, 3, 8, 9]"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([0, 1]), "2 labels"),
        ([1, 2], torch.tensor(TARGETS), "images are a list"),
        (torch.zeros(6, 3, 8, 8), "none", "labels are a str"),
    ],
)
def test_tensors_that_are_no_set_are_refused(tmp_path: Path, images, labels, told: str) -> None:
    torch.save(images, tmp_path / "images.pt")
    torch.save(labels, tmp_path / "labels.pt")
    assert told in refusal(tmp_path)


@pytest.mark.parametrize("content", [{"data": []}, [1], {"data": [3]}], ids=str)
def test_a_file_that_is_no_dc_set_is_refused(tmp_path: Path, content) -> None:
    torch.save(content, tmp_path / "x.pt")
    assert "data[-1] is (images, labels)" in refusal(tmp_path / "x.pt")


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"data": [[_Trap(tmp_path / "sprung"), 1]]}, tmp_path / "x.pt")
    assert "holds more than tensors: it asks for " in refusal(tmp_path / "x.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "value",
    [np.float64(1.5), np.float32(-2.5), np.float16(0.25), np.int64(-7), np.uint8(200), np.bool_(True), np.int32(3)],
    ids=lambda value: type(value).__name__,
)
def test_numpy_scalars_come_as_numbers(tmp_path: Path, value) -> None:
    torch.save([value], tmp_path / "x.pt")
    (found,) = load_foreign(tmp_path / "x.pt")
    assert found == value.item() and type(found) is type(value.item())


@pytest.mark.parametrize("value", [np.zeros(2), np.str_("x"), np.datetime64("2020-01-01"), np.dtype("O")], ids=str)
def test_nothing_else_of_numpy_is_read(tmp_path: Path, value) -> None:
    torch.save([value], tmp_path / "x.pt")
    with pytest.raises(UsageError):
        load_foreign(tmp_path / "x.pt")
