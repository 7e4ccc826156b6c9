"""Preparation of a run: device, data set and store for its settings."""

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
"""Largest edge in pixels of images whose networks are too small for several threads."""
_in_memory: dict[str, ImageDataset] = {}


def prepare(
    config: Config,
    folder: Path,
    console: Console,
    overrides: list[str],
    device: torch.device | None = None,
    order: str | None = None,
) -> Context:
    """The context of a run with the settings ``config``: device, data and store.

    ``device`` replaces that of the settings. ``order`` identifies the start of the run (``Context.order``), by default
    by the current time.
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
    """Number of threads in each process of the run: one for small images, whatever the number of cores.

    For small images a second thread costs more than it gains, and with one thread the same settings give the same bits
    whatever the number of cores.
    """
    given = torch.get_num_threads()
    if device.type != "cpu":
        return given
    if image_size <= _SMALL_IMAGES:
        return 1
    return given if config.processes == AUTO or ranks.world > 1 else max(1, given // int(config.processes))


def own_device(config: Config) -> torch.device | None:
    """The GPU that the cluster assigns to this process, or that of its rank; None: the device in the settings."""
    own_gpu = enter_job(config.cluster)
    if ranks.world > 1 and config.device != "cpu":
        return ranks.device(config.device)
    return own_gpu if config.device in ("auto", "cuda") else None


def _describe(device: torch.device) -> dict[str, Any]:
    """Entries of an artefact's record about the process that has made it, at the end of the work."""
    return environment.describe(device) | {"peak_memory_bytes": environment.peak_since_last(device)}


def _loaded_once(dataset: DatasetConfig, cache_dir: Path) -> ImageDataset:
    """The data set, which is loaded once for all jobs of a sweep in this process."""
    key = repr(dataset)
    if key not in _in_memory:
        _in_memory.clear()  # two large data sets may not fit in memory
        _in_memory[key] = load(dataset, cache_dir=cache_dir, threads=torch.get_num_threads())
    return _in_memory[key]
