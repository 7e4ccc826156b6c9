"""The preparation of a run: device, data set and store for its settings."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from infer import environment
from infer.cluster import enter_job
from infer.config import Config
from infer.config.evaluate import TestSplit
from infer.config.root import AUTO
from infer.console import Console
from infer.context import Context
from infer.costs.stand_in import stand_in
from infer.data import DatasetConfig, load
from infer.data.base import ImageDataset
from infer.data.holdout import holdout
from infer.ranks import ranks
from infer.records.names import CACHE
from infer.store import Store

_SMALL_IMAGES = 16
"""Pixels along the edge of images up to which networks are too small for several threads."""
_in_memory: dict[str, ImageDataset] = {}


def prepare(
    config: Config,
    folder: Path,
    console: Console,
    overrides: list[str],
    device: torch.device | None = None,
    order: str | None = None,
) -> Context:
    """Device (that of the settings, unless given), data and store for ``config``.

    ``order`` names the start of the run, by default by the present time.
    """
    order = order or datetime.now(UTC).isoformat()
    device = device or environment.pick_device(config.device)
    outputs = Path(config.outputs)
    environment.make_repeatable()
    if device.type == "cpu":
        environment.keep_large_blocks()
    data = stand_in(_loaded_once(config.dataset, outputs / CACHE), config.scale)
    if config.evaluate.split is TestSplit.val:
        data = holdout(data, config.evaluate.val_fraction, config.seed)
    for note in data.notes:
        console.say(f"{data.name}: {note}")
    return Context(
        config=config,
        data=data,
        store=Store(outputs, lambda: _describe(device) | {"order": order}),
        device=device,
        precision=environment.pick_precision(config.precision.value, device),
        console=console,
        run_folder=folder,
        overrides=overrides,
        threads=_threads(config, data.image_size, device),
        order=order,
    )


def _threads(config: Config, image_size: int, device: torch.device) -> int:
    """Threads that each process of the run computes with: one for small images, whatever the machine has.

    There a second thread costs more than it brings, and with one the same settings give the same bits everywhere.
    """
    given = torch.get_num_threads()
    if device.type != "cpu":
        return given
    if image_size <= _SMALL_IMAGES:
        return 1
    return given if config.processes == AUTO or ranks.world > 1 else max(1, given // int(config.processes))


def own_device(config: Config) -> torch.device | None:
    """The GPU that the cluster gives this process for itself, or that of its rank; None: what the settings name."""
    own_gpu = enter_job(config.cluster)
    if ranks.world > 1 and config.device != "cpu":
        return ranks.device(config.device)
    return own_gpu if config.device in ("auto", "cuda") else None


def _describe(device: torch.device) -> dict[str, Any]:
    """Entries of an artefact's record on its making, which is over now."""
    return environment.describe(device) | {"peak_memory_bytes": environment.peak_since_last(device)}


def _loaded_once(dataset: DatasetConfig, cache_dir: Path) -> ImageDataset:
    """The data set; the jobs of a sweep that run in one process share it."""
    key = repr(dataset)
    if key not in _in_memory:
        _in_memory.clear()  # two large data sets do not fit
        _in_memory[key] = load(dataset, cache_dir=cache_dir, threads=torch.get_num_threads())
    return _in_memory[key]
