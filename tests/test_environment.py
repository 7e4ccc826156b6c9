"""Precision that a device brings along."""

import platform
import subprocess
import sys

import pytest
import torch

from infer.environment import cpu_computes_bf16, pick_precision

CPU = torch.device("cpu")


@pytest.fixture
def capabilities(monkeypatch):
    """The instructions that torch finds, to be filled in."""
    found: dict[str, bool] = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    cpu_computes_bf16.cache_clear()
    yield found
    cpu_computes_bf16.cache_clear()


@pytest.mark.parametrize(
    ("found", "precision"),
    [({"avx512_bf16": True}, "by_network"), ({"avx512_bf16": False}, "fp32"), ({}, "fp32")],
)
def test_on_a_cpu_auto_follows_its_instructions(capabilities, found, precision):
    capabilities.update(found)
    assert pick_precision("auto", CPU) == precision
    assert [pick_precision(asked, CPU) for asked in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_a_torch_that_cannot_tell_stays_in_fp32(capabilities, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert pick_precision("auto", CPU) == "fp32"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the thresholds are glibc's")
def test_large_blocks_are_kept_for_the_next_step():
    """In a process of its own, as the setting stays until its end: tensors of 40 MB soon cost no page faults."""
    code = (
        "import resource, torch\n"
        "from infer.environment import keep_large_blocks\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    torch.ones(10**7)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "given_back = min(faults() for _ in range(10))\n"
        "assert keep_large_blocks()\n"
        "print(given_back, min(faults() for _ in range(10)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    given_back, kept = map(int, said.split())
    assert kept < 100 < given_back
