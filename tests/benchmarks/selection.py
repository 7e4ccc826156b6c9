"""RDED's scoring and the coresets' features beside the teacher's bare forward pass over as many images.

Scoring draws 5 crops of each of 300 images, resamples, normalises and pads them, and takes their cross-entropy; the
bare pass is the same teacher on as many images that are finished, on the device and in the layout that suits it, in
batches as large. Features start from bytes. All take turns, so that a busy machine slows all of them.
Target: at least 80 % of the bare pass's speed.

    python tests/benchmarks/selection.py [--quick] [--teachers resnet18 convnet3] [--image-size 32] [--factor 1]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from evaluation import hardware
from torch import Tensor, nn

from infer.methods.sets.crop_scores import crop_losses
from infer.methods.sets.features import without_head
from infer.methods.sets.square_crops import square_crops
from infer.models import build
from infer.normalisation import Normalisation
from infer.seeds import generator
from infer.training.execution import memory_format_of
from infer.training.images import Images
from infer.training.scoring import predict_logits

NUM_CLASSES, CROPS, SCALE_MIN = 10, 5, 0.08
CROPS_TOGETHER, IMAGES_TOGETHER = 255, 1000
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NORMALISATION = Normalisation.of(MEAN, STD)
TARGET = 80  # percent

Run = Callable[[], object]


class BarePass:
    """The teacher's forward pass over ``count`` finished images, ``together`` at a time."""

    def __init__(self, teacher: nn.Module, count: int, together: int, size: int, device: torch.device) -> None:
        self._teacher = teacher
        images = torch.randn(count, 3, size, size, device=device)
        self._batches = [b.contiguous(memory_format=memory_format_of(teacher)) for b in images.split(together)]

    def __call__(self) -> list[Tensor]:
        with torch.no_grad():
            return [self._teacher(batch) for batch in self._batches]


def measure(arch: str, options: argparse.Namespace) -> dict[str, float | str]:
    """Median images per second of each run."""
    device, size, count = torch.device(options.device), options.image_size, options.images
    torch.manual_seed(0)
    teacher = build(arch, NUM_CLASSES, size).eval().requires_grad_(False).to(device)
    images = Images(torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8), NORMALISATION)

    def score() -> Tensor:
        uniform = generator(0, "benchmark").random((count, CROPS, 3))
        squares = square_crops(uniform, size, SCALE_MIN)
        return crop_losses(teacher, images, squares, size // options.factor, 0, device)

    headless = without_head(teacher, arch, size)
    runs: dict[str, tuple[Run, int]] = {
        "bare pass over the crops": (BarePass(teacher, count * CROPS, CROPS_TOGETHER, size, device), count * CROPS),
        "scoring": (score, count * CROPS),
        "bare pass over the images": (BarePass(teacher, count, IMAGES_TOGETHER, size, device), count),
        "features": (lambda: predict_logits(headless, images, device, batch_size=IMAGES_TOGETHER), count),
    }
    return {"teacher": arch} | take_turns(runs, options.rounds, device)


def take_turns(runs: dict[str, tuple[Run, int]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median images per second of each run; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, (run, _) in runs.items():
            _wait_for(device)
            start = time.perf_counter()
            run()
            _wait_for(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: count / statistics.median(seconds[name][1:]) for name, (_, count) in runs.items()}


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def print_row(row: dict) -> None:
    for name, bare in (("scoring", "bare pass over the crops"), ("features", "bare pass over the images")):
        share = 100 * row[name] / row[bare]
        verdict = "met" if share >= TARGET else "missed"
        rates = f"{row[name]:9.0f} of {row[bare]:9.0f} images/s"
        print(f"{row['teacher']:20} {name:9} {rates}: {share:5.1f} % (target {TARGET} %: {verdict})")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", nargs="+", default=["convnet3", "resnet18"])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=300, help="of which 5 crops each are scored")
    parser.add_argument("--factor", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="100 images, 3 rounds: half a minute on a CPU")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds = 100, 3
    return options


def main() -> None:
    options = parsed()
    about = {
        "hardware": hardware(torch.device(options.device)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    print(", ".join(f"{name}: {value}" for name, value in about.items()))
    rows = []
    for arch in options.teachers:
        rows.append(measure(arch, options))
        print_row(rows[-1])
    if options.json:
        options.json.write_text(json.dumps(about | {"images per second": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
