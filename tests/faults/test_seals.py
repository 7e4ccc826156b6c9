"""Seals: what was changed after it was written is neither listed as a fact nor used."""

import json
import os
from pathlib import Path

import pytest
import torch
from helpers.records import record_of
from PIL import Image

import infer
from infer.commands.main import run as infer_command
from infer.config.dataset import FolderConfig
from infer.data import load
from infer.distilled.folder import write_images
from infer.errors import UsageError
from infer.files import read_json, sealed, write_json, write_sealed
from infer.records.runs import UNREADABLE, Run

RUN = "20260101-090000-000001-digits-infer-ipc10"


@pytest.fixture
def outputs(tmp_path) -> Path:
    """Outputs with one run, whose record is sealed."""
    folder = tmp_path / "outputs" / "runs" / RUN
    folder.mkdir(parents=True)
    write_sealed(folder / "result.json", record_of("", [97.0, 98.0, 99.0]))
    return tmp_path / "outputs"


def forge(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def answer(capsys, *words: str) -> tuple[int, str]:
    code = infer_command(words)
    return code, capsys.readouterr().out


def test_a_forged_score_is_no_fact(outputs, capsys):
    assert Run(RUN, outputs / "runs" / RUN).score("test/top1")["mean"] == 98.0
    forge(outputs / "runs" / RUN / "result.json", '"mean": 98.0', '"mean": 99.9')
    run = Run(RUN, outputs / "runs" / RUN)
    assert run.state == UNREADABLE and run.score("test/top1") is None
    for words in (["ls"], ["table", RUN], ["show", RUN]):
        _, out = answer(capsys, *words, "--outputs", str(outputs))
        assert "99.9" not in out and ("not what was written" in out or UNREADABLE in out)
    code, out = answer(capsys, "verify", str(outputs))
    assert code == 1 and "result.json is not what was written" in out


def test_a_record_of_an_earlier_version_is_read_and_told_apart(outputs, capsys):
    write_json(outputs / "runs" / RUN / "result.json", record_of("", [97.0]))
    assert Run(RUN, outputs / "runs" / RUN).score("test/top1")["mean"] == 97.0
    code, out = answer(capsys, "verify", str(outputs))
    assert code == 0 and "1 record without a checksum" in out


@pytest.fixture
def own_set(tmp_path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    dataset = {"name": "x", "classes": ["a", "b"], "mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 8}
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    write_images(folder, images, torch.tensor([0, 0, 1, 1]), {"dataset": dataset, "ipc_charged": 2})
    return folder


@pytest.mark.parametrize(("old", "new"), [("0.2", "0.3"), ('"a"', '"z"'), ('"ipc_charged": 2', '"ipc_charged": 1')])
def test_a_changed_manifest_gives_no_images(own_set, old, new):
    infer.load(own_set)
    forge(own_set / "manifest.json", old, new)
    with pytest.raises(UsageError, match="manifest.json is damaged .it is not what was written.*Make the set again"):
        infer.load(own_set)


def test_files_that_a_manifest_does_not_name_are_not_read(own_set):
    before = infer.load(own_set)
    torch.save(torch.zeros(4, 2), own_set / "labels.pt")
    (own_set / "labels.safetensors").write_bytes((own_set / "images.safetensors").read_bytes())
    after = infer.load(own_set)
    assert after.logits is None and torch.equal(before.images, after.images)


@pytest.fixture
def tree(tmp_path) -> Path:
    for split in ("train", "test"):
        for name in ("crane", "rail"):
            (tmp_path / "birds" / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (number, len(name), 7 * number)).save(
                    tmp_path / f"birds/{split}/{name}/{number}.bmp"
                )
    return tmp_path / "birds"


def fingerprint(tree: Path) -> str:
    config = FolderConfig(name="birds", root=str(tree))
    return load(config, cache_dir=tree.parent / "cache", threads=1).fingerprint


def test_an_image_replaced_with_size_and_time_of_the_old_one_is_seen(tree):
    before, image = fingerprint(tree), tree / "test" / "rail" / "0.bmp"
    status = image.stat()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(image)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image.stat().st_size == status.st_size and image.stat().st_mtime_ns == status.st_mtime_ns
    assert fingerprint(tree) != before


@pytest.mark.parametrize("is_sealed", [True, False], ids=["changed", "rewritten"])
def test_a_forged_cache_is_measured_again(tree, is_sealed):
    before = fingerprint(tree)
    (cache,) = (tree.parent / "cache").glob("*.json")
    content = read_json(cache)
    content["facts"]["fingerprint"] = "0" * 64
    cache.write_text(json.dumps(content if is_sealed else content["facts"]))
    assert fingerprint(tree) == before
    assert read_json(cache) == sealed(read_json(cache))
