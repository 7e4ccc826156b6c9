"""Time per step of the training loop beside a bare training step of the same student on one constant batch.

The loop crops, mirrors and mixes 450 composed 32x32 images (10 classes, M=4) in batches of 64 and trains on
static soft labels (KL at T=30). The bare step is forward, the same loss with constant targets, backward and
update. A bare step follows every step of the loop, so that a busy machine slows both. Target: 1.15 at most.

    python tests/benchmarks/evaluation.py [--quick] [--json] [--device cuda --precision bf16]
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
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
from infer.training.optimizers import build_optimizer
from infer.training.plan import Plan

STUDENTS = ["convnet3", "resnet18"]
NUM_IMAGES, NUM_CLASSES, IMAGE_SIZE, BATCH_SIZE = 450, 10, 32, 64
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NORMALISATION = Normalisation.of(MEAN, STD)
LOSS = SoftLabelLoss(30.0)
TARGET = 1.15
STREAM = (0, "benchmark")

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
    """A training step of a student of its own on one constant batch."""

    def __init__(self, arch: str, plan: Plan, images: Tensor, precision: str) -> None:
        self._model, self._precision = new_student(arch, images.device), precision
        self._images = images.contiguous(memory_format=memory_format_of(self._model))
        self.optimizer = build_optimizer(self._model, plan.settings)
        self._targets = torch.randn(len(images), NUM_CLASSES, device=images.device)

    def __call__(self) -> None:
        with autocast(self._images.device, self._precision):
            logits = self._model(self._images)
        loss = LOSS(logits.float(), self._targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def new_student(arch: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    student = build(arch, NUM_CLASSES, IMAGE_SIZE)
    return student.to(device=device, memory_format=memory_format_of(student))


def measure(arch: str, epochs: int, device: torch.device, precision: str) -> dict[str, float | str]:
    """Median milliseconds of a step of the loop, of a bare step and of forming a batch."""
    torch.manual_seed(0)
    images = Images(torch.randn(NUM_IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE), NORMALISATION).to(device)
    objective = static_label_objective(10 * torch.randn(NUM_IMAGES, NUM_CLASSES), LOSS, device)
    plan = Plan(Training(epochs=epochs, batch_size=BATCH_SIZE), NUM_IMAGES, mix_alpha=0.8)
    source = BatchSource(images, plan, Draws(STREAM))
    bare_step = BareStep(arch, plan, next(source.epoch(0)).images, precision)
    clock, marks = Clock(device), []

    def take_turns(optimizer: torch.optim.Optimizer, *_: object) -> None:
        """After every update of the loop: a bare step."""
        if optimizer is not bare_step.optimizer:
            marks.append(clock.mark())
            bare_step()
            marks.append(clock.mark())

    hook = register_optimizer_step_post_hook(take_turns)
    fit(
        new_student(arch, device),
        images,
        objective,
        plan,
        stream=STREAM,
        device=device,
        precision=precision,
    )
    hook.remove()
    loop, bare = in_pairs(clock.milliseconds(marks), plan)
    forming = clock.timed(lambda: list(source.epoch(0)), 20)
    return {
        "student": arch,
        "steps": len(loop),
        "loop_ms": statistics.median(loop),
        "bare_ms": statistics.median(bare),
        "batch_ms": statistics.median(forming) / plan.steps_per_epoch,
        "ratio": statistics.median(a / b for a, b in zip(loop, bare, strict=True)),
    }


def in_pairs(milliseconds: list[float], plan: Plan) -> tuple[list[float], list[float]]:
    """The loop's steps and, for each, the bare step after it; without the first epoch and small last batches.

    ``milliseconds`` alternate, beginning with the bare step that follows the loop's first step.
    """
    loop, bare = milliseconds[1::2], milliseconds[2::2]
    steps = [step for step in range(plan.steps_per_epoch, plan.total_steps) if (step + 1) % plan.steps_per_epoch]
    return [loop[step - 1] for step in steps], [bare[step - 1] for step in steps]


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
    print("student          loop      bare   ratio   forming a batch")
    row_format = "{student:10} {loop_ms:10.2f} {bare_ms:9.2f} {ratio:7.3f} {batch_ms:17.2f}"
    print("\n".join(row_format.format(**row) for row in rows))
    print(f"target: ratio <= {TARGET}, {'met' if all(row['ratio'] <= TARGET for row in rows) else 'missed'}")


if __name__ == "__main__":
    main()
