"""Seconds per compensator and iteration, beside the published way of computing the same loss.

The plain side optimises one compensator at a time with a hook on every BatchNorm layer, the statistics as
zhangxin-xd/UFC computes them (ufc_generation/utils.py: permuted, copied, then mean and var), images in torch's default
memory format, torch.roll and torch.optim.Adam. Frozen weights, as in that code; only the teacher in use has hooks and
no loss is read back, so it does less than that code. Both sides share threads, allocator and weights (random, with
running statistics from a few forward passes), and take turns, so that a busy machine slows both. --convolutions adds
what no form can do without: the teacher's convolutions, and the gradients of their inputs, and nothing else. --images
adds the same loop, not compiled, on whole images (SRe2L) instead of compensators, as many of them in a batch. --bare
adds the teacher alone, not compiled: a forward pass and the gradient of its inputs, of images of the same batch; on a
GPU it is always there, and 85 % of its images/s are the target.

    python tests/benchmarks/generation.py [--quick] [--classes 10 100] [--eager | --compiled] [--convolutions]
                                          [--images] [--bare] [--device cuda]
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import torch
from evaluation import hardware
from torch import Tensor, nn
from torch.nn import functional as F

from infer.environment import keep_large_blocks
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.optimisation.loop import descend
from infer.methods.optimisation.loss import MatchingLoss, Problem
from infer.methods.optimisation_settings import OptimisationSettings
from infer.methods.sets.compensators import compensation
from infer.models import build

TEACHERS = ["resnet18", "mobilenetv2", "efficientnet_b0", "shufflenet_g2"]
IMAGE_SIZE = 32
GROUPS = {10: 3, 100: 1}  # compensators per batch: 100 images fill a batch by themselves
TARGETS = {("eager", 10): 1.2, ("eager", 100): 1.0, ("compiled", 10): 3.0, ("compiled", 100): 2.5}
ITERATIONS = 2  # per turn
SETTINGS = OptimisationSettings(iterations=ITERATIONS, lr=0.25, bn_weight=1.0, first_bn_multiplier=10.0)
JITTER_PX = 4

CONVOLUTIONS = "convs"  # the form that does nothing else
IMAGES = "images"  # the form that optimises whole images
BARE = "bare"  # the form that passes the teacher and nothing else
BARE_TARGET = 85  # percent of the bare form's images/s, on a GPU

Run = Callable[[], object]


class PlainStatistics:
    """A forward hook that keeps the distance of its layer's input statistics from the running ones."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.distance: Tensor | None = None
        norm.register_forward_hook(self)

    def __call__(self, norm: nn.BatchNorm2d, inputs: tuple[Tensor], _: Tensor) -> None:
        (x,) = inputs
        mean = x.mean([0, 2, 3])
        var = x.permute(1, 0, 2, 3).contiguous().view(x.shape[1], -1).var(1, unbiased=False)
        self.distance = torch.norm(norm.running_var - var, 2) + torch.norm(norm.running_mean - mean, 2)


class PlainRun:
    """Some iterations of one compensator [1, 3, H, W] for ``natural`` [C, 3, H, W]."""

    def __init__(self, teacher: nn.Module, natural: Tensor, shifts: Tensor) -> None:
        self._teacher, self._natural = teacher, natural
        self._shifts = [tuple(shift) for shift in shifts[:, 0].tolist()]
        self._layers = [PlainStatistics(module) for module in teacher.modules() if isinstance(module, nn.BatchNorm2d)]
        self._targets = torch.arange(len(natural), device=natural.device)

    def __call__(self) -> None:
        u = torch.zeros_like(self._natural[:1], requires_grad=True)
        adam = torch.optim.Adam([u], lr=SETTINGS.lr, betas=(0.5, 0.9), eps=1e-8)
        for shift in self._shifts:
            logits = self._teacher(torch.roll(self._natural + u, shift, (2, 3)))
            distances = [layer.distance for layer in self._layers if layer.distance is not None]
            penalty = SETTINGS.first_bn_multiplier * distances[0] + torch.stack(distances[1:]).sum()
            adam.zero_grad()
            (F.cross_entropy(logits, self._targets) + SETTINGS.bn_weight * penalty).backward()
            adam.step()


class Convolutions:
    """The convolutions of one iteration of some compensators, forward and to their inputs, in channels_last."""

    def __init__(self, teacher: nn.Module, images: Tensor) -> None:
        self._calls: list[tuple[Callable[[Tensor], Tensor], Tensor, Tensor]] = []
        layers = [module for module in teacher.modules() if isinstance(module, nn.Conv2d)]
        hooks = [layer.register_forward_hook(self._note) for layer in layers]
        with torch.no_grad():
            teacher(images)
        for hook in hooks:
            hook.remove()

    def _note(self, layer: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        kernel, x, gradient = (
            tensor.contiguous(memory_format=torch.channels_last)
            for tensor in (layer.weight, inputs[0], torch.randn_like(output))
        )
        settings = (layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
        self._calls.append((lambda x: F.conv2d(x, kernel, *settings), x.requires_grad_(), gradient))

    def __call__(self) -> None:
        for _ in range(ITERATIONS):
            for convolve, x, gradient in self._calls:
                torch.autograd.grad(convolve(x), x, gradient)


class BarePasses:
    """The teacher's forward passes of some iterations of some compensators, and the gradients of its inputs."""

    def __init__(self, teacher: nn.Module, images: Tensor) -> None:
        self._teacher = copy.deepcopy(teacher).to(memory_format=torch.channels_last)
        self._images = images.contiguous(memory_format=torch.channels_last).requires_grad_()

    def __call__(self) -> None:
        for _ in range(ITERATIONS):
            torch.autograd.grad(self._teacher(self._images).sum(), self._images)


ALONE = {CONVOLUTIONS: Convolutions, BARE: BarePasses}
"""Forms that compute no loss of ours."""


def random_teacher(arch: str, num_classes: int, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    teacher = build(arch, num_classes, IMAGE_SIZE).requires_grad_(False)
    for _ in range(5):
        teacher(torch.randn(64, 3, IMAGE_SIZE, IMAGE_SIZE))
    return teacher.eval().to(device)


def measure(
    arch: str, num_classes: int, group: int, forms: list[str], rounds: int, device: torch.device
) -> dict[str, float | str]:
    """Median seconds per compensator and iteration of the plain side and of each of ``forms``."""
    teacher = random_teacher(arch, num_classes, device)
    natural = torch.randn(group, num_classes, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    transforms = Augmentation(JITTER_PX).draw(0, [(arch, k) for k in range(group)], ITERATIONS, IMAGE_SIZE)
    compensators = compensation(natural, transforms)
    images = Problem(natural, torch.arange(num_classes), transforms, project=lambda x: x.clamp_(-2, 2))
    row: dict[str, float | str] = {"teacher": arch}
    runs: dict[str, tuple[Run, int]] = {}
    for form in forms:  # before the plain side, whose hooks must not be copied
        if form in ALONE:
            runs[form] = ALONE[form](teacher, natural.flatten(0, 1).clone()), group
            continue
        problem = images if form == IMAGES else compensators
        objective = MatchingLoss(teacher, problem, SETTINGS)
        if form == "compiled":
            start = time.perf_counter()
            if not objective.compile():
                sys.exit("The loss could not be compiled (see the warning above). Type --eager to measure without")
            row["compile_s"] = time.perf_counter() - start
        runs[form] = partial(descend, objective, problem, SETTINGS), group
    runs = {"plain": (PlainRun(teacher, natural[0], transforms.rolls), 1)} | runs
    return row | take_turns(runs, rounds, device)


def take_turns(runs: dict[str, tuple[Run, int]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each run per compensator and iteration; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, (run, compensators) in runs.items():
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append((time.perf_counter() - start) / (ITERATIONS * compensators))
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def with_total(rows: list[dict], forms: list[str]) -> list[dict]:
    """The rows, one for all teachers together, and every form's speed-up over the plain side in each."""
    times = {name: sum(row[name] for row in rows) for name in ["plain", *forms]}
    rows = [*rows, {"teacher": f"all {len(rows)}"} | times]
    return [row | {f"{form}_ratio": row["plain"] / row[form] for form in forms} for row in rows]


def print_table(rows: list[dict], forms: list[str], num_classes: int, group: int) -> None:
    print(f"\n{num_classes} classes, {group} compensator(s) per batch: ms per compensator and iteration, medians")
    print(f"{'teacher':16}{'plain':>9}" + "".join(f"{form:>10}{'ratio':>7}" for form in forms))
    for row in rows:
        cells = "".join(f"{1000 * row[form]:10.1f}{row[f'{form}_ratio']:7.2f}" for form in forms)
        compiling = f"   compiled in {row['compile_s']:.0f} s" if "compile_s" in row else ""
        print(f"{row['teacher']:16}{1000 * row['plain']:9.1f}{cells}{compiling}")
    for form in [form for form in forms if form not in (*ALONE, IMAGES)]:
        target = TARGETS[form, num_classes]
        verdict = "met" if rows[-1][f"{form}_ratio"] >= target else "missed"
        print(f"target for all teachers together, {form}: ratio >= {target}, {verdict}")


def print_rates(rows: list[dict], forms: list[str], num_classes: int) -> None:
    """Images per second, and their share of the bare form's in percent."""
    print(f"\n{num_classes} classes: images/s, and percent of the bare passes")
    print(f"{'teacher':16}" + "".join(f"{form:>10}{'%':>6}" for form in forms))
    for row in rows[:-1]:
        cells = (f"{num_classes / row[form]:10.0f}{100 * row[BARE] / row[form]:6.0f}" for form in forms)
        print(f"{row['teacher']:16}" + "".join(cells))
    print(f"target on a GPU: {BARE_TARGET} %")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", choices=[10, 100], default=[10, 100])
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, default=TEACHERS)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--eager", action="store_const", dest="forms", const=["eager"], help="do not compile")
    form.add_argument("--compiled", action="store_const", dest="forms", const=["compiled"], help="only compiled")
    parser.add_argument("--convolutions", action="store_true", help="also time the teachers' convolutions alone")
    parser.add_argument("--images", action="store_true", help="also time whole images in place of compensators")
    parser.add_argument("--bare", action="store_true", help="also time the teachers' passes alone")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--group", type=int, help="compensators per batch (default: 3 for 10 classes, 1 for 100)")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 15, and 7 for 100 classes)")
    parser.add_argument("--quick", action="store_true", help="10 classes, not compiled, 5 turns: a minute")
    parser.add_argument("--stock-allocator", action="store_true", help="leave glibc's thresholds as they are")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.set_defaults(forms=["eager", "compiled"])
    options = parser.parse_args()
    if options.quick:
        options.classes, options.forms, options.rounds = [10], ["eager"], 5
    options.bare = options.bare or options.device.type == "cuda"
    options.forms += [CONVOLUTIONS] * options.convolutions + [IMAGES] * options.images + [BARE] * options.bare
    return options


def main() -> None:
    options = parsed()
    about = {
        "hardware": hardware(options.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "large blocks kept": not options.stock_allocator and keep_large_blocks(),
        "date": date.today().isoformat(),
    }
    print(", ".join(f"{name}: {value}" for name, value in about.items()))
    results = {}
    for num_classes in options.classes:
        group = options.group or GROUPS[num_classes]
        rounds = options.rounds or (15 if num_classes == 10 else 7)
        rows = [measure(arch, num_classes, group, options.forms, rounds, options.device) for arch in options.teachers]
        results[num_classes] = with_total(rows, options.forms)
        print_table(results[num_classes], options.forms, num_classes, group)
        if options.bare:
            print_rates(results[num_classes], options.forms, num_classes)
    if options.json:
        options.json.write_text(json.dumps(about | {"seconds": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
