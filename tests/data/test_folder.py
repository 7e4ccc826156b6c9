"""Trees of image files: what is read, and what is known without reading."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from infer.data import decode


def test_classes_are_the_sorted_folder_names_and_files_come_in_order(small_tree, load_folder):
    data = load_folder(small_tree)
    assert data.classes == ["cat", "dog"]
    assert data.train_counts == [3, 4]
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1, 1] and data.test.targets.tolist() == [0, 0, 1]
    expected = np.asarray(Image.open(small_tree / "train" / "dog" / "2.png")).transpose(2, 0, 1)
    assert torch.equal(data.train.images[5], torch.tensor(expected))
    assert (data.image_size, data.num_classes, data.train_bytes) == (8, 2, 7 * 3 * 64)
    assert data.notes == []


def test_only_files_that_are_resized_are_there_as_they_are(make_tree, load_folder):
    root = make_tree({"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}}, size=8)
    assert not load_folder(root).is_resized and load_folder(root).train.originals is None
    for _ in range(2):  # measured, and then out of the cache
        resized = load_folder(root, resize=4)
        assert resized.is_resized and resized.train.images.shape[-1] == 4
        expected = np.asarray(Image.open(root / "train" / "b" / "0.png")).transpose(2, 0, 1)
        (found,) = resized.train.originals[torch.tensor([2])]
        assert torch.equal(found, torch.tensor(expected))


def test_val_serves_where_test_has_no_classes(make_tree, load_folder):
    root = make_tree({"train": {"a": 2, "b": 2}, "val": {"a": 1, "b": 3}})
    (root / "test").mkdir()
    assert load_folder(root).test.targets.tolist() == [0, 1, 1, 1]


def test_test_comes_before_val_and_the_note_says_so(make_tree, load_folder):
    data = load_folder(make_tree({"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}, "val": {"a": 3, "b": 3}}))
    assert len(data.test.targets) == 2
    assert data.notes == ["test/ is the test split; val/ was left alone"]


def test_nested_and_upper_case_files_count_and_others_do_not(small_tree, load_folder):
    cats = small_tree / "train" / "cat"
    (cats / "images").mkdir()
    (cats / "0.png").rename(cats / "images" / "0.PNG")
    (cats / ".hidden.png").write_bytes(b"no image")
    (small_tree / "train" / ".cache").mkdir()
    (cats / "boxes.txt").write_text("0 0 8 8")
    data = load_folder(small_tree)
    assert data.train_counts == [3, 4] and data.classes == ["cat", "dog"]
    assert data.notes == ["files without the ending of an image were ignored: 1 .txt"]


def test_root_may_hold_a_home_and_variables(small_tree, load_folder, monkeypatch):
    monkeypatch.setenv("TREE", small_tree.name)
    monkeypatch.setenv("HOME", str(small_tree.parent))
    assert load_folder("~/$TREE").train_counts == [3, 4]


def test_mean_and_std_are_computed_or_given(small_tree, load_folder):
    computed = load_folder(small_tree)
    pixels = computed.train.images.double().div(255).transpose(0, 1).flatten(1)
    assert computed.mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-6)
    assert computed.std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-6)
    given = load_folder(small_tree, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
    assert (given.mean, given.std) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert given.fingerprint != computed.fingerprint


def test_conversions_to_rgb_are_counted_by_kind(small_tree, load_folder):
    dogs = small_tree / "train" / "dog"
    for index, mode in enumerate(["L", "L", "P", "RGBA"]):
        Image.open(dogs / f"{index}.png").convert(mode).save(dogs / f"{index}.png")
    Image.open(small_tree / "test" / "dog" / "0.png").convert("CMYK").save(small_tree / "test" / "dog" / "0.jpg")
    data = load_folder(small_tree)
    assert data.notes == ["1 CMYK, 1 RGBA, 2 grey and 1 palette images were converted to RGB"]
    assert torch.equal(data.train.images[3, 0], data.train.images[3, 2])


def test_one_conversion_is_told_in_the_singular(small_tree, load_folder):
    Image.new("L", (8, 8), 7).save(small_tree / "train" / "cat" / "0.png")
    assert load_folder(small_tree).notes == ["1 grey image was converted to RGB"]


def test_resize_makes_squares_of_any_sizes(small_tree, load_folder):
    wide = Image.new("RGB", (64, 16), "red")
    wide.paste("blue", (24, 0, 40, 16))
    wide.save(small_tree / "train" / "cat" / "0.png")
    data = load_folder(small_tree, resize=4)
    assert data.train.images.shape == (7, 3, 4, 4) and data.image_size == 4
    assert data.train.images[0, :, 1, 1:3].T.tolist() == [[0, 0, 255]] * 2  # the blue centre, the ends cropped


def test_threads_do_not_matter(make_tree, tmp_path):
    paths = sorted((make_tree({"train": {"a": 150}}) / "train" / "a").iterdir())
    one, four = ([image.pixels for image in decode.decode_images(paths, None, threads)] for threads in (1, 4))
    assert len(one) == 150 and all(np.array_equal(x, y) for x, y in zip(one, four, strict=True))


def refuse_to_decode(path: Path, resizing: decode.Resizing | None) -> None:
    raise AssertionError(f"{path} was decoded")


def test_the_warm_cache_knows_everything_without_decoding(small_tree, load_folder, monkeypatch):
    Image.new("L", (8, 8), 7).save(small_tree / "train" / "cat" / "0.png")
    cold = load_folder(small_tree)
    with monkeypatch.context() as patched:
        patched.setattr(decode, "decode_image", refuse_to_decode)
        warm = load_folder(small_tree)
        for fact in ("name", "classes", "mean", "std", "image_size", "train_counts", "fingerprint", "notes"):
            assert getattr(warm, fact) == getattr(cold, fact)
        with pytest.raises(AssertionError, match="was decoded"):
            _ = warm.test
    assert torch.equal(warm.train.images, cold.train.images)


def test_the_cold_load_decodes_once(small_tree, load_folder, monkeypatch):
    data = load_folder(small_tree)
    monkeypatch.setattr(decode, "decode_image", refuse_to_decode)
    assert data.train is data.train and len(data.train.targets) == 7 and len(data.test.targets) == 3


def test_a_changed_file_changes_the_fingerprint_and_a_copy_does_not(make_tree, load_folder):
    counts = {"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}}
    root, copy = make_tree(counts), make_tree(counts, name="copy")
    before = load_folder(root).fingerprint
    assert load_folder(copy).fingerprint == before
    changed = root / "test" / "b" / "0.png"
    Image.open(root / "test" / "a" / "0.png").save(changed)
    assert load_folder(root).fingerprint != before


def test_a_new_time_alone_measures_again_and_finds_the_same_data(small_tree, load_folder, tmp_path):
    before = load_folder(small_tree).fingerprint
    os.utime(small_tree / "train" / "cat" / "0.png", ns=(1, 1))
    assert load_folder(small_tree).fingerprint == before
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"name": "folder"}'])
def test_a_damaged_cache_file_counts_as_none(small_tree, load_folder, tmp_path, damage):
    before = load_folder(small_tree)
    (cached,) = (tmp_path / "cache").iterdir()
    whole = cached.read_bytes()
    cached.write_text(damage)
    assert load_folder(small_tree).fingerprint == before.fingerprint
    assert cached.read_bytes() == whole


def test_settings_have_facts_of_their_own(small_tree, load_folder):
    assert load_folder(small_tree).image_size == 8
    assert load_folder(small_tree, resize=4).image_size == 4
    assert load_folder(small_tree).image_size == 8
