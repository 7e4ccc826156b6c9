"""Speeds of work, from a few steps timed in the loops that do the work; each is timed once per store and machine."""

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from infer.config.training import Training
from infer.costs.memory import peak_bytes
from infer.environment import Precision, memory_bytes
from infer.files import canonical_json, read_json, write_json
from infer.methods.optimisation.augmentation import Transforms
from infer.methods.optimisation.loop import descend
from infer.methods.optimisation.loss import MatchingLoss, Problem
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.models import build
from infer.normalisation import CIFAR10
from infer.training.growth import Growth
from infer.training.images import Images
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.training.scoring import predict_logits
from infer.work import Pass, Passes

_LEAST_STEPS = 3
"""Smallest number of steps that are timed, after one that is not counted. The first quartile is used, since other
programs on the machine can make steps longer but not shorter."""
_MOST_STEPS = 100
"""Largest number of steps that are timed."""
_LEAST_S, _LEAST_IN_HASTE_S = 0.5, 0.03
"""Seconds for which steps are timed at least: those of small networks take milliseconds, which vary."""
_BATCHES = 4
"""Number of batches of images on which steps are timed, repeatedly."""
_GROWTH_AT_THE_END = (0.98, 0.99)
"""Fractions of the epochs between which small images grow, so late that the timed steps are all on small ones."""
_TRIAL_SHARE = 1 / 16
"""Fraction of a batch on which the time of a whole batch is predicted."""
_MEMORY_SHARE = 1 / 4
"""Largest fraction of the memory for timed steps, if two images fit into it."""
_SURELY_SHORT = 10**4
"""Number of pixels of a batch for which a step is short in any network."""


class Timings:
    """Seconds per image by kind of passes, kept in a JSON file of the store."""

    def __init__(self, file: Path, machine: Mapping[str, Any], device: torch.device) -> None:
        """``machine`` is the device and the number of threads, as in records, for which the numbers are valid."""
        self._file, self._device = file, device
        self._machine = canonical_json(machine)
        self._known: dict[str, dict[str, float]] = _read(file)

    def known(self, passes: Passes) -> float | None:
        """Seconds per image that were timed before."""
        return self._known.get(self._machine, {}).get(passes.kind)

    def time(self, passes: Passes, most_seconds: float, hasty: bool = False) -> float | None:
        """Seconds per image, from steps on whole batches if these take no longer than ``most_seconds``, else on smaller
        batches.

        With ``hasty``, the result is None where smaller batches may take long as well, and only times of whole batches
        are stored. It is also None where a step is impossible, for example because it does not fit into memory.
        """
        with contextlib.suppress(RuntimeError, ValueError):  # the work itself will report the error
            return self._time(passes, most_seconds, hasty)
        return None

    def _time(self, passes: Passes, most_seconds: float, hasty: bool) -> float | None:
        if (known := self.known(passes)) is not None:
            return known
        started = time.perf_counter()
        if not _surely_short(passes):
            share = min(_TRIAL_SHARE, _SURELY_SHORT / 2 / passes.size**2 / passes.at_once) if hasty else _TRIAL_SHARE
            small = replace(passes, at_once=max(2, int(passes.at_once * share)))
            if hasty and not _surely_short(small):
                return None
            while small.at_once > 2 and not self._fits(small):
                small = replace(small, at_once=small.at_once // 2)
            if peak_bytes(small) > memory_bytes(self._device):
                return None
            enough = (1, 0.0) if hasty else (_LEAST_STEPS, _LEAST_S)
            per_image = _seconds_per_image(small, self._device, *enough)
            expected = per_image * passes.at_once * (_LEAST_STEPS + 1)
            is_long = expected > most_seconds - (time.perf_counter() - started)
            if is_long or not self._fits(passes):
                return per_image if hasty else self._kept(passes, per_image)
        least_s = _LEAST_IN_HASTE_S if hasty else _LEAST_S
        return self._kept(passes, _seconds_per_image(passes, self._device, _LEAST_STEPS, least_s))

    def _fits(self, passes: Passes) -> bool:
        return peak_bytes(passes) <= _MEMORY_SHARE * memory_bytes(self._device)

    def _kept(self, passes: Passes, seconds: float) -> float:
        """Write ``seconds`` into the file, and return them."""
        self._known = _read(self._file)  # other processes may have added to it meanwhile
        self._known.setdefault(self._machine, {})[passes.kind] = seconds
        write_json(self._file, self._known)
        return seconds


def _surely_short(passes: Passes) -> bool:
    """True if a step is short in any network."""
    return passes.at_once * passes.size**2 <= _SURELY_SHORT


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        known = read_json(file)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


class _Enough(Exception):
    """Enough steps have been timed."""


def _seconds_per_image(passes: Passes, device: torch.device, least_steps: int, least_s: float) -> float:
    """Seconds per image: first quartile of at least ``least_steps`` steps over at least ``least_s`` seconds.

    The first step is not counted.
    """
    moments: list[float] = []

    def on_step(done: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        moments.append(time.perf_counter())
        steps, seconds = len(moments) - 1, moments[-1] - moments[0]
        if steps >= _MOST_STEPS or (steps >= least_steps and seconds >= least_s):
            raise _Enough

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = build(passes.arch, passes.classes, passes.network_size).to(device)
        try:
            _LOOPS[passes.how](network, passes, device, on_step)
        except _Enough:
            pass
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(moments))
    return steps[len(steps) // 4] / passes.at_once


def _train(network: nn.Module, passes: Passes, device: torch.device, on_step: Callable[[int], None]) -> None:
    images = _images(passes, device)
    targets = torch.arange(len(images)) % passes.classes
    growth = Growth(passes.size, *_GROWTH_AT_THE_END) if passes.whole_size else None
    plan = Plan(Training(steps=_MOST_STEPS + 1, batch_size=passes.at_once), len(images), growth=growth)
    objective = hard_label_objective(targets, 0.0, device)
    precision = _precision(passes)
    fit(network, images, objective, plan, stream=(0, "timing"), device=device, precision=precision, on_images=on_step)


def _optimise(network: nn.Module, passes: Passes, device: torch.device, on_step: Callable[[int], None]) -> None:
    steps = _MOST_STEPS + 1
    settings = OptimisationSettings(iterations=steps, precision=GenerationPrecision(passes.precision), compile=False)
    problem = Problem(
        torch.zeros(1, passes.at_once, 3, passes.size, passes.size, device=device),
        torch.arange(passes.at_once) % passes.classes,
        Transforms(torch.zeros(steps, 1, 2, dtype=torch.int64)),
    )
    loss = MatchingLoss(network.eval().requires_grad_(False), problem, settings)
    descend(loss, problem, settings, on_progress=on_step)


def _forward(network: nn.Module, passes: Passes, device: torch.device, on_step: Callable[[int], None]) -> None:
    network.to(memory_format=torch.channels_last)
    images = _images(passes, device)
    for _ in range(_MOST_STEPS):
        predict_logits(network, images, device, _precision(passes), passes.at_once, on_images=on_step)


_LOOPS = {Pass.train: _train, Pass.optimise: _optimise, Pass.forward: _forward}


def _images(passes: Passes, device: torch.device) -> Images:
    """Grey images for a few batches, of whole size: the training resizes images that grow."""
    shape = (_BATCHES * passes.at_once, 3, passes.network_size, passes.network_size)
    return Images(torch.full(shape, 128, dtype=torch.uint8, device=device), CIFAR10)


def _precision(passes: Passes) -> Precision:
    return "bf16" if passes.precision == "bf16" else "fp32"
