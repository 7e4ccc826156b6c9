"""Time per step of the training loop beside a bare training step of the same student on one constant batch.

The loop crops, mirrors and mixes 450 composed 32x32 images (10 classes, M=4) in batches of 64 and trains on
static soft labels (KL at T=30). The bare step is forward, the same loss with constant targets, backward and
update. A bare step follows every step of the loop, so that a busy machine slows both. Target: 1.15 at most, and on a
GPU 90 % of the bare step's images/s.

    python tests/benchmarks/evaluation.py [--quick] [--json] [--device cuda --precision bf16]
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from infer.config.training import Training
from infer.labels.base import SoftLabelLoss
from infer.labels.static import static_label_objective
from infer.models import build
from infer.normalisation import Normalisation
from infer.training.batches import BatchSource
from infer.training.draws import Draws
from infer.training.execution import autocast, memory_format_of
from infer.training.images import Images
from infer.training.loop import fit
from infer.training.objectives import Objective
from infer.training.optimizers import build_optimizer
from infer.training.plan import Plan

STUDENTS = ["convnet3", "resnet18"]
NUM_IMAGES, NUM_CLASSES, IMAGE_SIZE, BATCH_SIZE = 450, 10, 32, 64
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NORMALISATION = Normalisation.of(MEAN, STD)
LOSS = SoftLabelLoss(30.0)
TARGET, GPU_TARGET = 1.15, 1 / 0.9
STREAM = (0, "benchmark")
ROW = "{student:10} {loop_ms:10.2f} {bare_ms:9.2f} {ratio:7.3f} {batch_ms:17.2f} {loop_images:16.0f} {bare_images:6.0f}"

Mark = torch.cuda.Event | float


class Clock:
    """Marks points in time without making the host wait for the device."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"

    def mark(self) -> Mark:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(self, marks: list[Mark]) -> list[float]:
        """Between successive marks; waits for the device."""
        pairs = list(zip(marks, marks[1:], strict=False))
        if not self._on_gpu:
            return [1000 * (end - start) for start, end in pairs]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in pairs]

    def timed(self, work: Callable[[], object], times: int) -> list[float]:
        """Milliseconds of each of ``times`` calls of ``work``."""
        marks = [self.mark()]
        for _ in range(times):
            work()
            marks.append(self.mark())
        return self.milliseconds(marks)


class BareStep:
    """A training step of a network of its own, ``model``, on one constant batch."""

    def __init__(
        self, model: nn.Module, plan: Plan, images: Tensor, precision: str, loss: Callable[[Tensor], Tensor]
    ) -> None:
        self._model, self._precision, self._loss = model, precision, loss
        self._images = images.contiguous(memory_format=memory_format_of(self._model))
        self.optimizer = build_optimizer(self._model, plan.settings)

    def __call__(self) -> None:
        with autocast(self._images.device, self._precision):
            logits = self._model(self._images)
        loss = self._loss(logits.float())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def new_network(arch: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    network = build(arch, NUM_CLASSES, IMAGE_SIZE)
    return network.to(device=device, memory_format=memory_format_of(network))


def loop_and_bare(
    bare_step: BareStep,
    clock: Clock,
    model: nn.Module,
    images: Images,
    objective: Objective,
    plan: Plan,
    precision: str,
) -> list[tuple[float, float]]:
    """Milliseconds of steps of the loop that trains ``model``, each with those of the bare step that followed it."""
    marks: list[Mark] = []

    def take_turns(optimizer: torch.optim.Optimizer, *_: object) -> None:
        """After every update of the loop: a bare step."""
        if optimizer is not bare_step.optimizer:
            marks.append(clock.mark())
            bare_step()
            marks.append(clock.mark())

    hook = register_optimizer_step_post_hook(take_turns)
    device = images.pixels.device
    fit(model, images, objective, plan, stream=STREAM, device=device, precision=precision)
    hook.remove()
    return in_pairs(clock.milliseconds(marks), plan)


def measure(arch: str, epochs: int, device: torch.device, precision: str) -> dict[str, float | str]:
    """Median milliseconds of a step of the loop, of a bare step and of forming a batch."""
    torch.manual_seed(0)
    images = Images(torch.randn(NUM_IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE), NORMALISATION).to(device)
    objective = static_label_objective(10 * torch.randn(NUM_IMAGES, NUM_CLASSES), LOSS, device)
    plan = Plan(Training(epochs=epochs, batch_size=BATCH_SIZE), NUM_IMAGES, mix_alpha=0.8)
    source = BatchSource(images, plan, Draws(STREAM))
    first, clock = next(source.epoch(0)).images, Clock(device)
    targets = torch.randn(len(first), NUM_CLASSES, device=device)
    bare_step = BareStep(new_network(arch, device), plan, first, precision, partial(LOSS, teacher=targets))
    pairs = loop_and_bare(bare_step, clock, new_network(arch, device), images, objective, plan, precision)
    forming = clock.timed(lambda: list(source.epoch(0)), 20)
    return summary(pairs) | {"student": arch, "batch_ms": statistics.median(forming) / plan.steps_per_epoch}


def summary(pairs: list[tuple[float, float]], batch_size: int = BATCH_SIZE) -> dict[str, float]:
    """Medians over steps of the loop and the bare steps after them, in milliseconds and images per second."""
    loop, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {
        "steps": len(pairs),
        "loop_ms": loop,
        "bare_ms": bare,
        "loop_images": 1000 * batch_size / loop,
        "bare_images": 1000 * batch_size / bare,
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def in_pairs(milliseconds: list[float], plan: Plan) -> list[tuple[float, float]]:
    """Every step of the loop with the bare step after it; without the first epoch and small last batches.

    ``milliseconds`` alternate, beginning with the bare step that follows the loop's first step. Of a plan of one epoch
    the first step alone is left out.
    """
    pairs = list(zip(milliseconds[1::2], milliseconds[2::2], strict=True))
    first = plan.steps_per_epoch if plan.epochs > 1 else 1
    whole = [
        step
        for step in range(first, plan.total_steps)
        if plan.batch_sizes[step % plan.steps_per_epoch] == plan.batch_sizes[0]
    ]
    return [pairs[step - 1] for step in whole]


def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 epochs per student instead of 6")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()
    epochs = 2 if options.quick else 6
    rows = [measure(arch, epochs, options.device, options.precision) for arch in STUDENTS]
    about = {
        "hardware": hardware(options.device),
        "threads": torch.get_num_threads(),
        "precision": options.precision,
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    if options.json:
        print(json.dumps(about | {"target": TARGET, "results": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("milliseconds per step, medians; ratio: median over pairs of a loop step and the bare step after it")
    print("student          loop      bare   ratio   forming a batch   images/s: loop   bare")
    print("\n".join(ROW.format(**row) for row in rows))
    target = GPU_TARGET if options.device.type == "cuda" else TARGET
    print(f"target: ratio <= {target:.2f}, {'met' if all(row['ratio'] <= target for row in rows) else 'missed'}")


if __name__ == "__main__":
    main()
