"""The ImageNet path on a tree of a few classes: decoded while used, classes in chunks, a teacher of 1,000 outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import infer
from infer.data.imagenet import imagenet_outputs
from infer.models import build

WNIDS = ["n01440764", "n02102040", "n02979186", "n03888257"]
ARCH = "convnet3_w32_batchnorm"
DATA = (
    "dataset=imagenet1k",
    "dataset.root=tree",
    "dataset.name=few",
    f"dataset.wnids=[{','.join(WNIDS)}]",
    "dataset.image_size=16",
    "dataset.resize=18",
    f"teachers.archs=[{ARCH}]",
    "teachers.min_top1=null",
    f"student.archs=[{ARCH}]",
    "evaluate=infer_imagenet_static",
    "evaluate.epochs=2",
    "evaluate.repeats=1",
    "method.iterations=2",
    "method.jitter_px=2",
    "method.class_chunk=3",
    "baselines=[random_static]",
    "ipc=2",
)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with ``tree/``: six training and two validation images of each class."""
    work = tmp_path_factory.mktemp("work")
    pixels = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for wnid in WNIDS:
            folder = work / "tree" / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                image = pixels.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
                Image.fromarray(image).save(folder / f"{wnid}_{number}.JPEG")
    return work


def _scores(run: Path) -> dict[str, float]:
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    return {name: metric["mean"] for name, metric in metrics.items()}


@pytest.mark.slow
def test_streamed_images_give_the_numbers_of_held_ones(work, launch_in):
    training = ("teachers.checkpoints=null", "teachers.epochs=1", "teachers.batch_size=8")
    runs = []
    for in_memory in ("true", "false"):
        outputs = f"outputs={work / in_memory}"
        finished = launch_in(work, *DATA, *training, f"dataset.in_memory={in_memory}", outputs)
        assert finished.returncode == 0, finished.stderr
        runs += (work / in_memory / "runs").iterdir()
    held, streamed = runs
    assert _scores(held) == _scores(streamed)
    sets = [infer.load(run) for run in runs]
    assert torch.equal(sets[0].images, sets[1].images) and torch.equal(sets[0].logits, sets[1].logits)
    assert sets[0].classes == WNIDS and sets[0].images.shape[1:] == (3, 16, 16)


def test_a_teacher_of_all_classes_serves_a_subset(work, launch_in):
    whole = build(ARCH, 1000, 16)
    torch.save({"model": whole.state_dict()}, work / "whole.pth")
    read = f"teachers.checkpoints={{{ARCH}: {work / 'whole.pth'}}}"
    finished = launch_in(work, *DATA, read, "stages=[squeeze]", f"outputs={work / 'read'}")
    assert finished.returncode == 0, finished.stderr
    (teacher,) = (work / "read" / "teachers").iterdir()
    kept = load_file(teacher / "model.safetensors")
    part = build(ARCH, len(WNIDS), 16)
    part.load_state_dict(kept)
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        expected = whole.eval()(images)[:, imagenet_outputs(WNIDS)]
        torch.testing.assert_close(part.eval()(images), expected)
