"""A written distilled set opens again, whole, in anybody's training loop."""

import json

import pytest
import torch
from torch.utils.data import DataLoader

import infer
from infer.distilled.compose import compose
from infer.distilled.folder import write_composable, write_images, write_labels, write_manifest
from infer.errors import UsageError
from infer.normalisation import Normalisation

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]
NORMALISATION = Normalisation.of(MEAN, STD)
DATASET = {"name": "toy", "classes": ["cat", "dog"], "mean": MEAN, "std": STD, "image_size": 4, "fingerprint": "0"}


@pytest.fixture
def written(tmp_path):
    natural = torch.randint(0, 256, (3, 2, 3, 4, 4), dtype=torch.uint8)
    compensators = torch.randn(1, 3, 3, 4, 4)
    logits = torch.randn(12, 2)
    write_labels(tmp_path, logits)
    write_composable(tmp_path, natural, compensators, "float32", {"method": "infer", "dataset": DATASET})
    return tmp_path, natural, compensators, logits


def test_composed_images_with_their_labels(written):
    path, natural, compensators, logits = written
    opened = infer.load(path)
    assert len(opened) == 12 and opened.classes == ["cat", "dog"]
    assert torch.equal(opened.images, compose(natural, compensators, NORMALISATION))
    image, target, label = opened[5]
    assert image.shape == (3, 4, 4) and image.dtype == torch.float32
    assert target == 1
    assert torch.equal(label, logits.half().float()[5])


def test_it_feeds_a_data_loader(written):
    images, targets, logits = next(iter(DataLoader(infer.load(written[0]), batch_size=5)))
    assert images.shape == (5, 3, 4, 4) and targets.tolist() == [0, 1, 0, 1, 0] and logits.shape == (5, 2)


def test_finished_images_without_labels(tmp_path):
    images = torch.randint(0, 256, (4, 3, 4, 4), dtype=torch.uint8)
    write_images(tmp_path, images, torch.tensor([0, 0, 1, 1]), {"method": "random", "dataset": DATASET})
    opened = infer.load(tmp_path)
    assert torch.equal(opened.images, NORMALISATION.normalise(images))
    assert opened[2][1:] == (1,)


def test_a_runs_folder_opens_too(written, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    written[0].rename(run / "distilled")
    assert len(infer.load(run)) == 12


def test_an_altered_file_is_refused(written):
    file = written[0] / "labels.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match="labels.safetensors is missing or not what was written"):
        infer.load(written[0])


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no distilled set"):
        infer.load(tmp_path)


def test_another_format_is_refused(written):
    manifest = written[0] / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 2}))
    with pytest.raises(UsageError, match="version 2"):
        infer.load(written[0])


def test_the_manifest_counts_the_files(written):
    write_manifest(written[0], {"dataset": DATASET})
    files = json.loads((written[0] / "manifest.json").read_text())["files"]
    assert sorted(files) == ["compensators.safetensors", "labels.safetensors", "natural.safetensors"]
