"""Training of a teacher beside a bare PyTorch loop, and the test on 10,000 images as a share of an epoch of 50,000.

The loop crops and mirrors 32x32 images stored as bytes, in batches of 128, and trains on hard labels with SGD. The bare
step is forward, cross-entropy, backward and update on one constant batch. A bare step follows every step of the loop,
so that a busy machine slows both. The test runs on 500 images, and in fp32 costs about what its share of the arithmetic
says: a fifth as many images as an epoch, a third of a step's work for each, which is 6.7 %.
Target: the loop within 5 % of the bare step, on a GPU 90 % of its images/s; the test at most 6 % of the epoch.

    python tests/benchmarks/training.py [--archs resnet18 ...] [--precisions fp32 bf16] [--steps 8] [--device cuda]
"""

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

import torch
from evaluation import BareStep, Clock, hardware, loop_and_bare, new_network, summary
from torch.nn import functional as F

from infer.config.training import Optimizer, Training
from infer.environment import keep_large_blocks
from infer.normalisation import CIFAR10
from infer.training.batches import BatchSource
from infer.training.draws import Draws
from infer.training.images import Images, LabelledImages
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.training.scoring import run_test

NUM_CLASSES, IMAGE_SIZE, BATCH_SIZE = 10, 32, 128
EPOCH, TESTS = 50_000, 10_000  # images of CIFAR-10
TIMED_TESTS = 500
TARGET, GPU_TARGET, TEST_TARGET = 1.05, 1 / 0.9, 6.0  # ratios of times; percent of an epoch
STREAM = (0, "benchmark")
ROW = "{arch:18}{precision:9}{loop_images:8.0f}{bare_images:8.0f}{ratio:8.3f}{test_s:15.1f} s{test_share:12.1f} %"


def measure(arch: str, precision: str, steps: int, device: torch.device) -> dict[str, float | str]:
    """Medians over steps, and the share of a test in percent of an epoch."""
    torch.manual_seed(0)
    count = (steps + 1) * BATCH_SIZE
    images = Images(torch.randint(0, 256, (count, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8), CIFAR10).to(device)
    targets = torch.randint(0, NUM_CLASSES, (count,), device=device)
    settings = Training(epochs=1, batch_size=BATCH_SIZE, optimizer=Optimizer.sgd, lr=0.01, weight_decay=5e-4)
    plan, network = Plan(settings, count), new_network(arch, device)
    first = next(BatchSource(images, plan, Draws(STREAM)).epoch(0))
    bare_step = BareStep(
        new_network(arch, device), plan, first.images, precision, lambda x: F.cross_entropy(x, targets[first.index])
    )
    objective = hard_label_objective(targets, device=device)
    row = summary(loop_and_bare(bare_step, Clock(device), network, images, objective, plan, precision), BATCH_SIZE)
    test_ms = test_of(network, precision, device) * TESTS / TIMED_TESTS
    share = 100 * test_ms / (row["loop_ms"] * EPOCH / BATCH_SIZE)
    return row | {"arch": arch, "precision": precision, "test_s": test_ms / 1000, "test_share": share}


def test_of(network: torch.nn.Module, precision: str, device: torch.device) -> float:
    """Milliseconds of a test on ``TIMED_TESTS`` images, the median of two after one that is not counted."""
    pixels = torch.randint(0, 256, (TIMED_TESTS, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)
    images = LabelledImages(pixels, CIFAR10, torch.arange(TIMED_TESTS) % NUM_CLASSES).to(device)
    times = Clock(device).timed(lambda: run_test(network, images, device, precision), 3)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archs", nargs="+", default=["resnet18"])
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each side")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    if options.device.type == "cpu":
        keep_large_blocks()  # as a run does; it serves both sides
    about = {
        "hardware": hardware(options.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("images/s, medians; ratio of times: median over pairs of a step and the bare step after it")
    print("network           precision    loop    bare   ratio   test of 10,000   of an epoch")
    rows = []
    for arch in options.archs:
        for precision in options.precisions:
            rows.append(measure(arch, precision, options.steps, options.device))
            print(ROW.format(**rows[-1]), flush=True)
    target = GPU_TARGET if options.device.type == "cuda" else TARGET
    met = all(row["ratio"] <= target and row["test_share"] <= TEST_TARGET for row in rows)
    print(f"target: ratio <= {target:.2f} and test <= {TEST_TARGET:g} % of an epoch, {'met' if met else 'missed'}")
    if options.json:
        options.json.write_text(json.dumps(about | {"results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
