"""Precision that a device brings along."""

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
