"""The execution environment that a score depends on besides the settings: device, threads, versions, commit."""

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
"""``by_network``: that in which the network trains faster on this processor, see ``infer.models.bf16``."""

COMMIT_FILE = "commit.txt"
"""Beside a copy of the package: the commit of the checkout that it was taken from."""
_VERSIONS_OF = ("torch", "torchvision", "timm", "numpy", "hydra-core", "infer-distillation")


def pick_device(asked: str) -> torch.device:
    """The device named by ``device=``; auto takes a GPU where there is one."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(asked)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device={asked} was given, but torch sees {torch.cuda.device_count()} GPUs. Type device=cpu")
    return device


def pick_precision(asked: Literal["auto"] | Precision, device: torch.device) -> ChosenPrecision:
    """The precision named by ``precision=``; auto takes bf16 on a GPU that has it.

    On a CPU with bf16 instructions it is the network that decides, on one without it is fp32.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "by_network" if cpu_computes_bf16() else "fp32"


@functools.cache
def cpu_computes_bf16() -> bool:
    """True if the processor multiplies in bf16 (AVX512-BF16, which processors with AMX have as well).

    Elsewhere torch widens every number to fp32 first. An older torch that cannot tell is taken to say no.
    """
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16"))


def describe(device: torch.device) -> dict[str, Any]:
    """Device, threads, versions and commit, as every record carries them."""
    return {
        "device": {"type": device.type, "name": _name(device)},
        "threads": torch.get_num_threads(),
        **({"ranks": ranks.world} if ranks.world > 1 else {}),
        "versions": {"python": platform.python_version(), **_versions()},
        "git_commit": git_commit(),
    }


@functools.cache
def keep_large_blocks() -> bool:
    """Make glibc keep large blocks that are freed, for the rest of the process; False where the C library is another.

    By default it gives them back to the system, which maps them anew in every training step: activations cost page
    faults. Numbers do not depend on it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    return all(libc.mallopt(option, 2**30) == 1 for option in (trim_threshold, mmap_threshold))


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with ``count`` threads while the work inside lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def memory_bytes(device: torch.device) -> int:
    """Memory that there is: of a GPU its own, else that of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_memory_bytes() -> int:
    """Main memory that processes can still take without swapping; all of it where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return memory_bytes(torch.device("cpu"))


def peak_memory_bytes(device: torch.device) -> dict[str, int]:
    """Peak memory of this process: ``host`` and, on a GPU, ``device``."""
    for where, peak in _peaks(device).items():
        _highest[where] = max(peak, _highest.get(where, 0))
    return {where: _highest[where] for where in _peaks(device)}


def peak_since_last(device: torch.device) -> int | None:
    """Peak memory in bytes since the last call, of a GPU where that computes, else of this process; None where the
    system keeps one peak for all time."""
    peak_memory_bytes(device)
    peak = list(_peaks(device).values())[-1]
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the peak: proc(5)
    except OSError:
        return None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return peak


_highest: dict[str, int] = {}
"""Peaks before Linux was told to forget them."""


def _peaks(device: torch.device) -> dict[str, int]:
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device.type == "cuda":
        peaks["device"] = torch.cuda.max_memory_allocated(device)
    return peaks


@functools.cache
def git_commit() -> str | None:
    """The checkout's commit, with ``+changes`` when files differ from it; None outside a checkout.

    A copy of the package has that of the checkout that it was taken from.
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
    """Make a GPU compute in full float32 and in the same order every time, as a CPU does."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


@functools.cache
def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor_name()


def _processor_name() -> str:
    """The processor's name for a person; its architecture where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
