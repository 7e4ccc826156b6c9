"""Runs whose records, sets and pictures are made up."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.records import write_run
from PIL import Image

from infer.distilled.folder import write_composable, write_images, write_labels
from infer.records.run import Run
from infer.records.statistics import summarise

CLASSES = ["cat", "<b>dog</b>", "ship & co"]
DATASET = {"name": "digits", "classes": CLASSES, "mean": [0.5] * 3, "std": [0.25] * 3, "fingerprint": "0" * 64}
SETS = {"infer": {"size": "K=2 natural subsets", "images": 18, "students": {}, "generation": None}}
TEACHERS = [{"arch": "resnet8", "signature": "1" * 64}, {"arch": "convnet3", "signature": "2" * 64}]


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Run]:
    """A run with a distilled set, its labels, a baseline and a picture of its curves."""

    def make(name: str = "run", kind: str = "composable", size: int = 8, **changes) -> Run:
        baselines = {"random_static": {"metrics": {"test/top1": summarise([98.5, 98.6])}, "per_student": {}}}
        baselines["random_static"] |= {"protocol": "digits_static", "student_steps": 400}
        baselines["random_static"]["storage"] = {"total_bytes": 25440}
        folder = write_run(tmp_path / "runs" / name, **{"baselines": baselines, "sets": SETS} | changes)
        write_set(folder / "distilled", kind, size)
        Image.new("RGB", (40, 30), "white").save(folder / "curves.png")
        return Run(name, folder)

    return make


def write_set(folder: Path, kind: str, size: int) -> None:
    """Two natural subsets with the compensators of two teachers, or six images; with logits."""
    generator = torch.Generator().manual_seed(0)
    if kind == "composable":
        natural = torch.randint(0, 256, (2, 3, 3, size, size), dtype=torch.uint8, generator=generator)
        compensators = torch.randn(2, 2, 3, size, size, generator=generator)
        write_labels(folder, torch.randn(18, 3, generator=generator))
        facts = {"dataset": DATASET, "sizes": {"K": 2, "M": 2, "C": 3, "N": 18}, "teachers": TEACHERS}
        write_composable(folder, natural, compensators, "float32", facts)
    else:
        images = torch.randint(0, 256, (6, 3, size, size), dtype=torch.uint8, generator=generator)
        write_images(folder, images, torch.arange(6) % 3, {"dataset": DATASET, "sizes": {"C": 3, "N": 6}})
