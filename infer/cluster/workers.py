"""Processes that run jobs side by side on one machine: shares of its cores, and a GPU for each."""

import functools
import os
import re
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from infer.config.cluster import JoblibCluster

if TYPE_CHECKING:
    import torch


def enter(cluster: JoblibCluster) -> "torch.device | None":
    """Set this process's threads; returns its own GPU, if there are any."""
    import torch

    torch.set_num_threads(cluster.threads or min(share_of_cores(cluster.processes), torch.get_num_threads()))
    gpus = torch.cuda.device_count()
    return torch.device("cuda", claim_gpu(gpus).number) if gpus else None


def share_of_cores(processes: int) -> int:
    """Cores that this process may use, divided by ``processes``; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, cores // processes)


@dataclass(frozen=True)
class Claim:
    """A GPU that this process holds until it exits."""

    number: int
    """Index of the device in torch."""
    lock: FileLock
    """Released when nothing refers to it any more."""


@functools.cache  # a process that runs several jobs claims once, and holds what it claimed
def claim_gpu(gpus: int, folder: Path | None = None) -> Claim:
    """The first of ``gpus`` that the fewest processes of this user hold.

    A claim is a locked file in ``folder`` (by default one in the system's temporary folder), so it ends with its
    process, however that ends, and sweeps that run at the same time respect each other's.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"infer-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    names = _names(gpus)
    with FileLock(folder / "claiming.lock"):
        holders = [sum(_is_held(claim) for claim in folder.glob(f"{name}.*.claim")) for name in names]
        number = holders.index(min(holders))
        lock = FileLock(folder / f"{names[number]}.{uuid.uuid4().hex}.claim", thread_local=False)
        lock.acquire()
    return Claim(number, lock)


def _is_held(claim: Path) -> bool:
    """True if the process that made the file is alive; else the file is deleted."""
    try:
        with FileLock(claim, blocking=False):
            claim.unlink(missing_ok=True)
    except Timeout:
        return True
    return False


def _names(gpus: int) -> list[str]:
    """Names of torch's GPUs 0, 1, ... that are the same in every process of the machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",")[:gpus] if visible else [str(number) for number in range(gpus)]
    return [re.sub(r"\W", "_", name.strip()) for name in names]
