"""Processes that run jobs at the same time on one machine: each has a share of the cores, and a GPU."""

import functools
import os
import re
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from infer.cluster.ending import end_with_parent, is_joblibs_worker
from infer.config.cluster import JoblibCluster

if TYPE_CHECKING:
    import torch


def enter(cluster: JoblibCluster) -> "torch.device | None":
    """Set the number of threads of this process, and return its GPU; None on a machine without GPUs."""
    import torch

    if is_joblibs_worker():  # and not with processes=1, for which joblib starts none
        end_with_parent()
    torch.set_num_threads(cluster.threads or min(share_of_cores(cluster.processes), torch.get_num_threads()))
    gpus = torch.cuda.device_count()
    return torch.device("cuda", claim_gpu(gpus).number) if gpus else None


def share_of_cores(processes: int) -> int:
    """Number of cores that this process may use, divided by ``processes``; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, cores // processes)


@dataclass(frozen=True)
class Claim:
    """A GPU that this process has claimed until it exits."""

    number: int
    """Index of the device in torch."""
    lock: FileLock
    """Lock on the file of the claim; it is released when there is no reference to it any more."""


@functools.cache  # a process claims once and keeps its GPU, even if it runs several jobs
def claim_gpu(gpus: int, folder: Path | None = None) -> Claim:
    """Claim the GPU with the fewest claims of this user's processes; of several, the first.

    A claim is a locked file in ``folder`` (by default in the system's temporary folder). It therefore ends with its
    process, even if that is killed, and it is seen by other sweeps that run at the same time.
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
    """True if the process that made the file is alive; otherwise the file is deleted."""
    try:
        with FileLock(claim, blocking=False):
            claim.unlink(missing_ok=True)
    except Timeout:
        return True
    return False


def _names(gpus: int) -> list[str]:
    """Names of torch's GPUs 0, 1, ..., which are the same in all processes on the machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",")[:gpus] if visible else [str(number) for number in range(gpus)]
    return [re.sub(r"\W", "_", name.strip()) for name in names]
