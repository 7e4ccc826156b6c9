"""Secrets and test images stay out of what is made: neither a key nor anything of the test split is in it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

SECRET = "k3y-that-nobody-may-read"
WORDS = (
    "dataset=folder",
    "dataset.root=birds",
    "dataset.name=birds",
    "teachers=digits",
    "teachers.archs=[convnet3_w8_batchnorm]",
    "teachers.epochs=1",
    "teachers.min_top1=null",
    "method.iterations=3",
    "student.archs=[convnet3_w8_batchnorm]",
    "evaluate=digits_static",
    "evaluate.steps=2",
    "evaluate.repeats=1",
    "baselines=[]",
    "M=1",
    "K=2",
    "stages=[squeeze,generate,relabel,evaluate]",
)


def grow(root: Path, seed: int, split: str) -> None:
    """Two classes of twelve 8x8 images each."""
    generator = np.random.default_rng(seed)
    for name in ("crane", "rail"):
        (root / split / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / split / name / f"{number}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory, launch_in) -> list[Path]:
    """Runs on the same training images and other test images, in stores of their own, the first with secrets around."""
    runs = []
    for test_seed, secrets in ((1, ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY")), (2, ())):
        folder = tmp_path_factory.mktemp(f"test-{test_seed}")
        grow(folder / "birds", 0, "train")
        grow(folder / "birds", test_seed, "test")
        finished = launch_in(folder, *WORDS, **dict.fromkeys(secrets, SECRET))
        assert finished.returncode == 0, finished.stderr
        assert SECRET not in finished.stdout + finished.stderr
        runs += (folder / "outputs" / "runs").iterdir()
    return runs


def test_nothing_distilled_depends_on_test_images(made):
    first, second = (run / "distilled" for run in made)
    names = {path.name for path in first.glob("*.safetensors")}
    assert {"natural.safetensors", "compensators.safetensors", "labels.safetensors"} <= names
    for name in names:
        a, b = (load_file(folder / name) for folder in (first, second))
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=f"{name}: {key}")


def test_no_file_holds_a_secret(made):
    files = [path for path in made[0].parents[1].rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
