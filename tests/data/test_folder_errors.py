"""Trees that do not make a data set: one line each, naming what is wrong."""

import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from infer.data import decode, tree
from infer.errors import UsageError


def test_missing_root(tmp_path, load_folder, refusal):
    told = refusal(load_folder, tmp_path / "nowhere")
    assert f"dataset.root={tmp_path / 'nowhere'} is not a folder" in told and "train/ and test/ (or val/)" in told


def test_no_train_names_what_is_there(make_tree, load_folder, refusal):
    root = make_tree({"training": {"cat": 1}, "test": {"cat": 1}})
    told = refusal(load_folder, root)
    assert f"{root} has no class folders in train/ (it holds test, training)" in told


def test_no_test(make_tree, load_folder, refusal):
    assert "no class folders in test/ or val/ (it holds train)" in refusal(load_folder, make_tree({"train": {"a": 1}}))


def test_images_without_class_folders(make_tree, load_folder, refusal):
    root = make_tree({"train": {".": 2}, "test": {".": 1}})
    assert "no class folders in train/" in refusal(load_folder, root)


def test_empty_root(tmp_path, load_folder, refusal):
    assert "it holds nothing" in refusal(load_folder, tmp_path)


def test_splits_of_different_classes(make_tree, load_folder, refusal):
    root = make_tree({"train": {"cat": 1, "dog": 1, "emu": 1}, "val": {"cat": 1, "fox": 1}})
    assert "(only in train/: dog, emu; only in val/: fox)" in refusal(load_folder, root)


def test_many_different_classes_are_not_all_named(make_tree, load_folder, refusal):
    root = make_tree({"train": {f"c{index}": 1 for index in range(9)}, "test": {"c0": 1}})
    assert "only in train/: c1, c2, c3, c4, c5 and 3 more" in refusal(load_folder, root)


@pytest.mark.parametrize("split", ["train", "test"])
def test_empty_class(small_tree, load_folder, refusal, split):
    for file in (small_tree / split / "dog").iterdir():
        file.rename(file.with_suffix(".txt"))
    told = refusal(load_folder, small_tree)
    assert f"{small_tree / split / 'dog'} has no images" in told and ".jpg" in told


def test_different_sizes(small_tree, load_folder, refusal):
    Image.new("RGB", (8, 12)).save(small_tree / "test" / "dog" / "0.png")
    told = refusal(load_folder, small_tree)
    assert "train/cat/0.png is 8x8 pixels and test/dog/0.png is 8x12" in told and "dataset.resize=8" in told


def test_an_error_stops_the_threads(make_tree, load_folder, monkeypatch):
    root = make_tree({"train": {"a": 100}, "test": {"a": 1}})
    Image.new("RGB", (9, 9)).save(root / "train" / "a" / "1.png")
    decoded = []

    def slowly(path: Path, resizing: decode.Resizing | None) -> decode.DecodedImage:
        decoded.append(path)
        time.sleep(0.005)
        return decode_image(path, resizing)

    decode_image = decode.decode_image
    monkeypatch.setattr(decode, "decode_image", slowly)
    monkeypatch.setattr(decode, "_FILES_PER_TASK", 1)
    with pytest.raises(UsageError) as raised:
        load_folder(root)
    until_error = len(decoded)
    time.sleep(0.1)
    assert raised.value and len(decoded) == until_error < 100


def test_images_that_are_not_square(small_tree, load_folder, refusal):
    for file in small_tree.rglob("*.png"):
        Image.new("RGB", (20, 10)).save(file)
    told = refusal(load_folder, small_tree)
    assert "train/cat/0.png is 20x10 pixels" in told and "dataset.resize=10" in told


@pytest.mark.parametrize("position", [0, 2])
@pytest.mark.parametrize("content", ["empty", "text", "truncated"])
def test_unreadable_image(small_tree, load_folder, refusal, tmp_path, position, content):
    file = small_tree / "train" / "cat" / f"{position}.png"
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "text": b"not an image", "truncated": whole[: len(whole) // 2]}[content])
    told = refusal(load_folder, small_tree)
    assert f"{file} cannot be read as an image" in told and "BytesIO" not in told
    assert not (tmp_path / "cache").exists()


def test_broken_link(small_tree, load_folder, refusal):
    os.symlink("nowhere.png", small_tree / "train" / "cat" / "9.png")
    assert f"{small_tree / 'train' / 'cat' / '9.png'} cannot be read" in refusal(load_folder, small_tree)


def test_floating_point_pixels(small_tree, load_folder, refusal):
    Image.new("F", (8, 8)).save(small_tree / "train" / "cat" / "9.tiff")
    assert "9.tiff cannot be read as an image (its 32-bit values" in refusal(load_folder, small_tree)


def test_one_constant_value_cannot_be_normalised(small_tree, load_folder, refusal):
    for file in small_tree.rglob("*.png"):
        Image.new("RGB", (8, 8), "red").save(file)
    assert "dataset.mean and dataset.std" in refusal(load_folder, small_tree)
    assert load_folder(small_tree, mean=[0.5] * 3, std=[0.5] * 3).mean == [0.5] * 3


def test_more_pixels_than_memory(small_tree, load_folder, refusal, monkeypatch):
    monkeypatch.setattr(tree.os, "sysconf", lambda name: 10)
    told = refusal(load_folder, small_tree, resize=4, in_memory=True)
    assert "the train split of" in told and "dataset.in_memory=null" in told


def test_files_that_vanish_after_the_facts_were_cached(small_tree, load_folder, refusal):
    load_folder(small_tree)
    data = load_folder(small_tree)
    shutil.rmtree(small_tree / "test" / "dog")
    assert "dog/0.png cannot be read" in refusal(lambda: data.test)
