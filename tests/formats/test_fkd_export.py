"""A run's FKD labels, exported with its images: whoever follows the files gets the same teacher's answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import hflip, normalize, resized_crop, to_tensor

from infer.commands.main import run
from infer.distilled.folder import write_images
from infer.models import build
from infer.store.files import load_tensors

SHORT = (
    "K=2",
    "method.iterations=2",
    "M=1",
    "teachers.archs=[resnet8_w8]",
    "teachers.epochs=1",
    "teachers.min_top1=null",
    "baselines=[]",
    "evaluate.steps=4",
    "evaluate.batch_size=16",
    "evaluate.repeats=1",
    "evaluate.crop=resized",
    "evaluate.flip=true",
    "evaluate.mix=cutmix",
    "stages=[squeeze,generate,relabel,evaluate]",
)


@pytest.fixture(scope="module")
def ran(launch_in, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ran")
    finished = launch_in(folder, *SHORT, "labeling=fkd")
    assert finished.returncode == 0, finished.stderr
    return folder


def exported(ran: Path, form: str, to: Path) -> Path:
    assert run(["export", "digits-infer", "--format", form, "--to", str(to), "--outputs", str(ran / "outputs")]) == 0
    return to


def test_the_files_lead_to_the_same_logits(ran, tmp_path, make_context):
    """Images out of the tree, batches as SRe2L's reader makes them, through the stored teacher."""
    tree = ImageFolder(str(exported(ran, "sre2l", tmp_path / "tree")))
    labels = exported(ran, "fkd", tmp_path / "labels")
    (weights,) = (ran / "outputs" / "teachers").glob("*/model.safetensors")
    teacher = build("resnet8_w8", 10, 8)
    teacher.load_state_dict(load_tensors(weights))
    data = make_context().data
    files = sorted(labels.glob("epoch_*/batch_*.tar"))
    assert [file.relative_to(labels).as_posix() for file in files[:2]] == ["epoch_0/batch_0.tar", "epoch_0/batch_1.tar"]
    mixed = 0
    for file in files:
        coords, flip, mix_index, mix_lam, mix_bbox, logits, index = torch.load(file, weights_only=True)
        shown = []
        for row, (top, left, height, width), mirrored in zip(index.tolist(), coords * 8, flip.tolist(), strict=True):
            crop = resized_crop(tree[row][0], top.item(), left.item(), height.item(), width.item(), [8, 8])
            shown.append(normalize(to_tensor(hflip(crop) if mirrored else crop), data.mean, data.std))
        images = torch.stack(shown)
        x0, y0, x1, y1 = mix_bbox
        mixed += (x1 - x0) * (y1 - y0)
        images[:, :, x0:x1, y0:y1] = images[mix_index][:, :, x0:x1, y0:y1]
        with torch.no_grad():
            expected = teacher.eval()(images)
        # Pillow rounds a resized crop to bytes; the run does not
        assert (expected - logits).abs().mean() < 0.02 * expected.std()
        assert 0 <= mix_lam <= 1
    assert mixed > 0


def test_the_images_of_the_tree_are_those_of_the_run(ran, tmp_path):
    tree = exported(ran, "rded", tmp_path / "tree")
    assert len(list(tree.rglob("*.png"))) == 40
    assert np.asarray(Image.open(tree / "00009" / "class00009_id00003.png")).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"labels": {"mode": "static"}}, "has static labels, and no FKD labels are stored in it"),
        ({"labels": {"mode": "fkd"}}, "has fkd labels, and no FKD labels are stored in it"),
        ({}, "has no labels"),
    ],
)
def test_a_set_without_such_labels_is_one_line(tmp_path, capsys, labels, told):
    dataset = {"classes": ["a"], "mean": [0.5] * 3, "std": [0.5] * 3, "image_size": 8}
    (tmp_path / "set").mkdir()
    pixels, targets = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    write_images(tmp_path / "set", pixels, targets, {"dataset": dataset} | labels)
    assert run(["export", str(tmp_path / "set"), "--format", "fkd", "--to", str(tmp_path / "to")]) == 2
    printed = capsys.readouterr().err
    assert told in printed and "labeling=fkd" in printed and printed.count("\n") == 1
    assert not (tmp_path / "to").exists()
