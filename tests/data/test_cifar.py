"""CIFAR-10 and CIFAR-100 from generated files of the same layout."""

import os
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets import cifar as torchvision_cifar

import infer.data
from infer.config.dataset import Cifar10Config, Cifar100Config
from infer.data import cifar as reader_module
from infer.data.base import ImageDataset


class CreatesFile:
    """Its unpickling creates a file: what a tampered archive could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Warns:
    """Its unpickling warns as NumPy 2.4.0 does of the published files."""

    def __reduce__(self):
        return warnings.warn, ("dtype(): align should be passed as Python or NumPy boolean", UserWarning)


def load(layout, root: Path, cache: Path | None = None, **settings) -> ImageDataset:
    config_class = Cifar10Config if layout.reader is CIFAR10 else Cifar100Config
    return infer.data.load(config_class(root=str(root), **settings), cache or root / "cache", threads=1)


def test_pixels_and_labels_are_those_of_the_files(cifar, tmp_path):
    data = load(cifar, tmp_path / "cifar")
    of_train = [name for name, _ in cifar.reader.train_list]
    pixels = np.concatenate([cifar.pixels[name] for name in of_train]).reshape(-1, 3, 32, 32)
    assert torch.equal(data.train.images, torch.from_numpy(pixels))
    assert data.train.targets.tolist() == sum((cifar.targets[name] for name in of_train), [])
    assert data.test.targets.tolist() == cifar.targets[cifar.reader.test_list[0][0]]
    assert data.train.images.is_contiguous() and data.train.targets.dtype == torch.int64
    assert data.classes == cifar.classes
    assert data.train_counts == [2 * len(of_train)] * len(cifar.classes)
    assert data.image_size == 32
    assert data.mean[0] == (0.4914 if cifar.reader is CIFAR10 else 0.5071)


def test_the_archive_is_extracted_without_a_network(cifar, tmp_path):
    archive = cifar.pack(tmp_path / "elsewhere")
    data = load(cifar, archive.parent)
    assert data.fingerprint == load(cifar, tmp_path / "cifar").fingerprint
    assert [path.name for path in archive.parent.iterdir() if path.name.startswith(".extracting")] == []


def test_an_extraction_that_was_cut_short_is_finished(cifar, tmp_path):
    archive = cifar.pack(tmp_path / "elsewhere")
    half = archive.parent / cifar.reader.base_folder
    half.mkdir()
    (cifar.folder / cifar.reader.train_list[0][0]).rename(half / cifar.reader.train_list[0][0])
    assert load(cifar, archive.parent).train.images.shape[1:] == (3, 32, 32)


def test_missing_files_are_told_by_name_sum_and_place(cifar, tmp_path, refusal):
    told = refusal(load, cifar, tmp_path / "nowhere")
    assert cifar.reader.filename in told and cifar.reader.tgz_md5 in told
    assert f"dataset.root={tmp_path / 'nowhere'}" in told and "dataset.download=true" in told
    assert not (tmp_path / "nowhere").exists()


def test_a_corrupt_archive_is_refused(cifar, tmp_path, refusal):
    archive = cifar.pack(tmp_path / "elsewhere")
    archive.write_bytes(archive.read_bytes()[:-10])
    told = refusal(load, cifar, archive.parent)
    assert str(archive) in told and "corrupt" in told and cifar.reader.tgz_md5 in told
    assert not (archive.parent / cifar.reader.base_folder).exists()


@pytest.mark.parametrize("which", ["train", "test", "meta"])
def test_a_tampered_file_is_refused_before_it_is_unpickled(cifar, tmp_path, refusal, which):
    reader = cifar.reader
    filename, md5 = {
        "train": reader.train_list[-1],
        "test": reader.test_list[0],
        "meta": (reader.meta["filename"], reader.meta["md5"]),
    }[which]
    cifar.write(filename, {"data": CreatesFile(tmp_path / "owned")})
    told = refusal(load, cifar, tmp_path / "cifar")
    assert str(cifar.folder / filename) in told and md5 in told and "corrupt" in told
    assert not (tmp_path / "owned").exists()


def test_the_tampered_file_would_have_acted(cifar, tmp_path):
    """The test above can fail: with its sum published, unpickling the same file does create the file."""
    cifar.write(cifar.reader.meta["filename"], {cifar.reader.meta["key"]: CreatesFile(tmp_path / "owned")})
    cifar.publish()
    with pytest.raises(TypeError):
        load(cifar, tmp_path / "cifar")
    assert (tmp_path / "owned").exists()


def test_a_file_tampered_with_after_the_facts_were_cached_is_refused_too(cifar, tmp_path, refusal):
    load(cifar, tmp_path / "cifar", tmp_path / "cache")
    data = load(cifar, tmp_path / "cifar", tmp_path / "cache")
    cifar.write(cifar.reader.test_list[0][0], {"data": CreatesFile(tmp_path / "owned")})
    assert "corrupt" in refusal(lambda: data.test)
    assert not (tmp_path / "owned").exists()


def test_the_warm_cache_neither_sums_nor_unpickles(cifar, tmp_path, monkeypatch):
    cold = load(cifar, tmp_path / "cifar", tmp_path / "cache")
    with monkeypatch.context() as patched:
        patched.setattr(torchvision_cifar, "check_integrity", None)
        patched.setattr(torchvision_cifar.pickle, "load", None)
        warm = load(cifar, tmp_path / "cifar", tmp_path / "cache")
        assert (warm.fingerprint, warm.classes, warm.train_counts) == (
            cold.fingerprint,
            cold.classes,
            cold.train_counts,
        )
    assert torch.equal(warm.test.images, cold.test.images)


def test_a_download_that_fails_is_one_line(cifar, tmp_path, monkeypatch, refusal):
    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    told = refusal(load, cifar, tmp_path / "empty", download=True)
    assert "cannot be downloaded" in told and "Name or service not known" in told
    assert cifar.reader.url in told and f"into {tmp_path / 'empty'}" in told


def test_a_download_replaces_a_corrupt_archive(cifar, tmp_path, monkeypatch):
    whole = cifar.pack(tmp_path / "server")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / whole.name).write_bytes(b"half")

    def fetch(url: str, root: Path, filename: str, md5: str) -> None:
        os.replace(whole, root / filename)

    monkeypatch.setattr(reader_module, "download_url", fetch)
    assert load(cifar, tmp_path / "here", download=True).classes == cifar.classes


def test_numpys_warning_about_old_pickles_is_not_shown(cifar, tmp_path):
    meta = {cifar.reader.meta["key"]: cifar.classes, "old": Warns()}
    cifar.write(cifar.reader.meta["filename"], meta)
    cifar.publish()
    assert load(cifar, tmp_path / "cifar").classes == cifar.classes
