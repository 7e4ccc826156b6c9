"""``infer export --format hf``: a folder that Hugging Face's ``datasets`` opens without a network, and its card."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.foreign_writers import MEAN, STD, drawn_images
from helpers.records import write_run

import infer
from infer.commands.main import run
from infer.distilled.folder import write_composable, write_images, write_labels

NAMES = [str(digit) for digit in range(10)]
DATASET = {"name": "digits", "classes": NAMES, "mean": list(MEAN), "std": list(STD), "image_size": 8}
OF_SET = {"method": "infer", "dataset": DATASET, "ipc_charged": 2.2}
STORAGE = {"natural_bytes": 3840, "compensator_bytes": 816, "label_bytes": 800, "total_bytes": 5456, "ipc_charged": 2.2}
_ROUNDED = r"the largest error is 0\.(49|5)\d* of 255 levels"
_OPEN = """
import json, re, sys
from pathlib import Path
from datasets import load_dataset

folder = Path(sys.argv[1])
opened = load_dataset(str(folder))
train = opened["train"]
code = re.search(r"```python\\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
scope = {}
exec(code.replace("NAME/DATASET", str(folder)), scope)
print(json.dumps({
    "splits": list(opened),
    "features": {name: str(feature) for name, feature in train.features.items()},
    "labels": train["label"][:],
    "pixels": [list(image.convert("RGB").tobytes()) for image in train["image"]],
    "soft": train["logits"][:] if "logits" in train.features else None,
    "loss": scope["loss"].item(),
}))
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A run of INFER with static labels: 2 subsets of 10 classes, one teacher."""
    words = "labeling=static evaluate.steps=40 outputs=/scratch/someone"
    scores = {"convnet3_w32_batchnorm": {"test/top1": {"mean": 97.5, "std": 0.25, "n": 3, "values": []}}}
    folder = write_run(tmp_path / "a-run", words, storage=STORAGE, per_student=scores, metrics={})
    with (folder / ".hydra" / "overrides.yaml").open("a") as typed:
        typed.write("- dataset.root=/home/someone/data\n")
    natural = torch.from_numpy(drawn_images(20).transpose(0, 3, 1, 2).copy()).unflatten(0, (2, 10))
    drawn = torch.Generator().manual_seed(0)
    write_labels(folder / "distilled", torch.randn(40, 10, generator=drawn))
    write_composable(folder / "distilled", natural, torch.randn(1, 2, 3, 8, 8, generator=drawn), "int8", OF_SET)
    return folder


def exported(folder: Path) -> Path:
    to = folder.parent / "for-hub"
    assert run(["export", str(folder), "--format", "hf", "--to", str(to)]) == 0
    return to


def opened(folder: Path, cache: Path) -> dict:
    """Content of ``folder`` as ``datasets`` finds it offline, in its own process; the card's code is run there, too."""
    if not importlib.util.find_spec("datasets"):
        pytest.skip("datasets is not installed")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_DATASETS_CACHE": str(cache / "datasets")}
    command = [sys.executable, "-c", _OPEN, str(folder)]
    found = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


def test_datasets_reads_the_composed_images_and_nothing_else(made, tmp_path, capsys):
    folder = exported(made)
    assert re.search(_ROUNDED, capsys.readouterr().out)
    found = opened(folder, tmp_path / "cache")
    before = infer.load(made)
    assert found["splits"] == ["train"] and list(found["features"]) == ["image", "label", "logits"]
    assert found["features"]["image"].startswith("Image(")
    assert found["features"]["label"] == f"ClassLabel(names={NAMES})"
    assert found["labels"] == before.targets.tolist()
    assert torch.equal(torch.tensor(found["soft"]), before.logits)
    pixels = torch.tensor(found["pixels"]).view(-1, 8, 8, 3).permute(0, 3, 1, 2)
    levels = (before.images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255
    assert (pixels - levels).abs().max() < 0.5001
    assert found["loss"] > 0


def test_the_exact_set_is_in_the_same_folder(made):
    before, after = infer.load(made), infer.load(exported(made))
    assert torch.equal(after.images, before.images) and torch.equal(after.logits, before.logits)


def test_the_card_says_how_it_was_made_and_how_good_it_is(made):
    text = (exported(made) / "README.md").read_text()
    header = text.split("---")[1]
    assert "\nlicense:" not in header and "# license:" in header
    for line in ("- image-classification", "- n<1K", "path: data/train-*.parquet", 'pretty_name: "digits distilled by'):
        assert line in header
    assert "python launch.py labeling=static evaluate.steps=40 dataset.root=FOLDER\n" in text
    assert "someone" not in text, "a folder of somebody's machine is nobody's business"
    assert "97.50 ± 0.25 (3)" in text and "5,456 bytes" in text and "| method.lr | 0.25 |" in text
    assert re.search(_ROUNDED, text)
    assert "infer evaluate FOLDER dataset=digits" in text and "labeling=static labeling.source=set" in text


def test_the_header_is_what_the_hub_reads(made):
    cards = pytest.importorskip("huggingface_hub").DatasetCard
    data = cards.load(exported(made) / "README.md", ignore_metadata_errors=False).data.to_dict()
    assert data["task_categories"] == ["image-classification"] and data["size_categories"] == ["n<1K"]
    assert data["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert data.get("license") is None


def test_the_command_of_the_card_is_one(made, resolved):
    text = (exported(made) / "README.md").read_text()
    words = shlex.split(re.search(r"^infer evaluate FOLDER (.*)$", text, re.MULTILINE)[1])
    assert resolved("method=imported", "method.path=FOLDER", *words).evaluate.steps == 40


def test_a_folder_without_a_run_is_described_by_itself(tmp_path):
    folder = tmp_path / "alone"
    folder.mkdir()
    pixels = torch.from_numpy(drawn_images(10).transpose(0, 3, 1, 2).copy())
    write_images(folder, pixels, torch.arange(10), OF_SET | {"method": "imported"})
    found = exported(folder)
    text = (found / "README.md").read_text()
    assert "No record of its run" in text and "## Scores" not in text and "levels" not in text
    answer = opened(found, tmp_path / "cache")
    assert list(answer["features"]) == ["image", "label"]
    assert answer["pixels"] == [list(image.tobytes()) for image in drawn_images(10)]


def test_probabilities_are_no_logits(tmp_path):
    folder = tmp_path / "soft"
    folder.mkdir()
    write_labels(folder, torch.eye(10))
    pixels = torch.from_numpy(drawn_images(10).transpose(0, 3, 1, 2).copy())
    write_images(folder, pixels, torch.arange(10), OF_SET)
    found = exported(folder)
    assert list(opened(found, tmp_path / "cache")["features"]) == ["image", "label", "soft_label"]
    assert "F.cross_entropy(network(images), targets)" in (found / "README.md").read_text()
    (found / "distilled" / "manifest.json").unlink()
    assert run(["import", str(found), "--to", str(tmp_path / "in"), "--dataset", "digits"]) == 0
    assert torch.equal(infer.load(tmp_path / "in").logits, infer.load(folder).logits)
