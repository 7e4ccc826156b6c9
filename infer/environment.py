"""Execution environment, on which scores depend besides the settings: device, threads, versions, commit."""

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch

from infer.errors import UsageError
from infer.ranks import ranks

Precision = Literal["fp32", "bf16"]
"""``bf16`` is autocast: weights, batch-norm statistics, logits and losses stay float32."""
ChosenPrecision = Precision | Literal["by_network"]
"""``by_network``: the format in which each network trains faster on this processor, see ``infer.models.bf16``."""

COMMIT_FILE = "commit.txt"
"""File beside a copy of the package with the commit of the checkout that was copied."""
_VERSIONS_OF = ("torch", "torchvision", "timm", "numpy", "hydra-core", "infer-distillation")


def pick_device(asked: str) -> torch.device:
    """The device for the setting ``device``; ``auto`` is a GPU where there is one."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(asked)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device={asked} was given, but torch sees {torch.cuda.device_count()} GPUs. Type device=cpu")
    return device


def pick_precision(asked: Literal["auto"] | Precision, device: torch.device) -> ChosenPrecision:
    """The precision for the setting ``precision``; ``auto`` is bf16 on a GPU that supports it, and fp32 on another.

    On a CPU, ``auto`` depends on the network where there are bf16 instructions, and is fp32 where there are none.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "by_network" if cpu_computes_bf16() else "fp32"


@functools.cache
def cpu_computes_bf16() -> bool:
    """True if the processor multiplies in bf16 (AVX512-BF16, which processors with AMX have as well).

    On other processors torch converts every number to fp32 first. With older versions of torch that do not report the
    instructions, the result is False.
    """
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16"))


def describe(device: torch.device) -> dict[str, Any]:
    """Device, threads, versions and commit, as stored in every record."""
    return {
        "device": {"type": device.type, "name": _name(device)},
        "threads": torch.get_num_threads(),
        **({"ranks": ranks.world} if ranks.world > 1 else {}),
        "versions": {"python": platform.python_version(), **_versions()},
        "git_commit": git_commit(),
    }


@functools.cache
def keep_large_blocks() -> bool:
    """Make glibc keep large blocks of memory that are freed; False where the C library is not glibc.

    By default glibc returns them to the system, which maps them again in every training step, so that activations cause
    page faults. The setting lasts for the rest of the process; results do not depend on it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    return all(libc.mallopt(option, 2**30) == 1 for option in (trim_threshold, mmap_threshold))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Context in which torch computes with ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def memory_bytes(device: torch.device) -> int:
    """Total memory in bytes of the GPU or, for the CPU, of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_memory_bytes() -> int:
    """Main memory in bytes that is available without swapping; all of it where the system does not report this."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return memory_bytes(torch.device("cpu"))


def peak_memory_bytes(device: torch.device) -> dict[str, int]:
    """Peak memory of this process in bytes: ``host`` and, on a GPU, ``device``."""
    for where, peak in _peaks(device).items():
        _highest[where] = max(peak, _highest.get(where, 0))
    return {where: _highest[where] for where in _peaks(device)}


def peak_since_last(device: torch.device) -> int | None:
    """Peak memory in bytes since the last call, on the GPU or, on a CPU, of this process.

    None where the system cannot reset its peak.
    """
    peak_memory_bytes(device)
    peak = list(_peaks(device).values())[-1]
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak on Linux, see proc(5)
    except OSError:
        return None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return peak


_highest: dict[str, int] = {}
"""Highest peaks so far, also from before the system's peak was reset."""


def _peaks(device: torch.device) -> dict[str, int]:
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device.type == "cuda":
        peaks["device"] = torch.cuda.max_memory_allocated(device)
    return peaks


@functools.cache
def git_commit() -> str | None:
    """The commit of the checkout, with ``+changes`` where files differ from it; None outside a checkout.

    For a copy of the package it is the commit of the checkout that was copied.
    """
    root = Path(__file__).resolve().parent.parent
    if (root / COMMIT_FILE).is_file():
        return (root / COMMIT_FILE).read_text() or None
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(root, "status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def make_repeatable() -> None:
    """Make GPUs compute in full float32 and deterministically."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


@functools.cache
def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor_name()


def _processor_name() -> str:
    """The name of the processor; its architecture where the system does not report a name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
