"""Distilled sets whose files are not what was written: ``infer.load`` raises a UsageError of one line, nothing else."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch.utils.data import DataLoader

import infer
from infer.commands.main import run
from infer.distilled.folder import write_composable, write_images, write_labels, write_manifest
from infer.errors import UsageError

DATASET = {"name": "x", "classes": ["a", "b"], "mean": [0.5] * 3, "std": [0.5] * 3, "image_size": 8}
PIXELS = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
TARGETS = torch.tensor([0, 0, 1, 1])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A set of four images with soft labels."""
    write_labels(tmp_path, torch.zeros(4, 2))
    write_images(tmp_path, PIXELS, TARGETS, {"method": "x", "dataset": DATASET})
    return tmp_path


def _refusal(folder: Path | str) -> str:
    with pytest.raises(UsageError) as refused:
        infer.load(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


_RAW = {
    "empty": b"",
    "open": b"{",
    "list": b"[]",
    "number": b"3",
    "null": b"null",
    "text": b'"x"',
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b'{"a":' * 100_000,
    "no entries": b"{}",
    "two entries": b'{"format": "infer", "version": 1}',
}


@pytest.mark.parametrize("content", _RAW.values(), ids=_RAW)
def test_a_manifest_that_is_none(made, capsys, content):
    (made / "manifest.json").write_bytes(content)
    assert str(made / "manifest.json") in _refusal(made)
    for words in (["evaluate", str(made)], ["export", str(made), "--format", "rded", "--to", str(made / "to")]):
        assert run(words) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "unexpected" not in told


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("files", value) for value in (None, 3, "x", [], [1], {"x": 3}, {"x": {}}, {"../x": {"sha256": "a"}}, {})),
        *(("dataset", value) for value in (None, 3, "x", [], {}, {"classes": ["a"]})),
        *(("dataset.classes", value) for value in (None, 3, "x", [], [1], {})),
        *(("dataset.mean", value) for value in (None, 3, "x", [], [1], [1, 2, "x"], [float("nan")] * 3)),
        *(("dataset.std", value) for value in (None, [0.5, 0.5], [0, 0, 0], ["a", "b", "c"])),
        ("labels", []),
    ],
)
def test_an_entry_of_the_manifest_of_another_shape(made, key, value):
    manifest = json.loads((made / "manifest.json").read_text())
    *group, name = key.split(".")
    (manifest[group[0]] if group else manifest)[name] = value
    (made / "manifest.json").write_text(json.dumps(manifest))
    assert str(made) in _refusal(made)


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        ("images", None),
        ("images", {"images": PIXELS}),
        ("images", {"images": PIXELS.float(), "targets": TARGETS}),
        ("images", {"images": PIXELS[0], "targets": TARGETS}),
        ("images", {"images": PIXELS[:3], "targets": TARGETS}),
        ("images", {"images": PIXELS, "targets": TARGETS + 2}),
        ("images", {"images": PIXELS, "targets": TARGETS[:, None]}),
        ("labels", None),
        ("labels", {"x": torch.zeros(4, 2)}),
        ("labels", {"logits": torch.zeros(3, 2)}),
        ("labels", {"logits": torch.zeros(4)}),
    ],
)
def test_tensors_under_right_checksums_that_are_no_set(made, name, tensors: Mapping[str, Any] | None):
    (made / f"{name}.safetensors").write_bytes(b"junk" if tensors is None else save(dict(tensors)))
    write_manifest(made, {"method": "x", "dataset": DATASET})
    assert str(made) in _refusal(made)


@pytest.mark.parametrize("name", ["natural", "compensators"])
def test_a_composed_set_in_part(tmp_path, name):
    write_composable(tmp_path, PIXELS.reshape(2, 2, 3, 8, 8), torch.zeros(1, 2, 3, 8, 8), "float16", {})
    (tmp_path / f"{name}.safetensors").unlink()
    write_manifest(tmp_path, {"dataset": DATASET})
    assert name in _refusal(tmp_path)


def test_a_composed_set_of_parts_that_do_not_fit(tmp_path):
    manifest = {"dataset": DATASET}
    write_composable(tmp_path, PIXELS.reshape(2, 2, 3, 8, 8), torch.zeros(1, 3, 3, 8, 8), "float16", manifest)
    assert "compensators [1, 3, 3, 8, 8]" in _refusal(tmp_path)


def test_places_without_a_set(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    for place in (tmp_path, tmp_path / "nowhere", "/dev/null", "/proc", tmp_path / ("a" * 300), "a\0"):
        _refusal(place)


@pytest.mark.parametrize("with_logits", [True, False])
def test_a_data_loader_takes_any_set(made, with_logits):
    if not with_logits:  # as with hard, dynamic and fkd labels
        (made / "labels.safetensors").unlink()
        write_manifest(made, {"method": "x", "dataset": DATASET})
    opened = infer.load(made)
    assert None not in opened[0] and len(opened[0]) == 2 + with_logits
    images, targets, *logits = next(iter(DataLoader(opened, batch_size=4)))
    assert images.shape == PIXELS.shape and targets.tolist() == TARGETS.tolist()
    assert [each.shape for each in logits] == [(4, 2)] * with_logits
