"""Composing, clipping and rounding against a slow float64 computation, image by image."""

import numpy as np
import pytest
import torch

from infer.distilled.compose import (
    compose,
    composed_targets,
    round_compensators,
    unround_compensators,
)
from infer.normalisation import Normalisation

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]
NORMALISATION = Normalisation.of(MEAN, STD)
K, C, M, H, W = 3, 4, 2, 5, 6


@pytest.fixture
def parts() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    natural = torch.randint(0, 256, (K, C, 3, H, W), dtype=torch.uint8, generator=generator)
    return natural, 2 * torch.randn(M, K, 3, H, W, generator=generator)


def test_composed_images_stand_in_order_and_are_clipped(parts):
    natural, compensators = parts
    composed = compose(natural, compensators, NORMALISATION)
    assert composed.shape == (K * (M + 1) * C, 3, H, W)
    position = 0
    for k in range(K):
        for block in range(M + 1):
            for c in range(C):
                expected = np.empty((3, H, W))
                for channel in range(3):
                    pixels = natural[k, c, channel].numpy().astype(np.float64) / 255
                    value = (pixels - MEAN[channel]) / STD[channel]
                    if block:
                        value = value + compensators[block - 1, k, channel].numpy().astype(np.float64)
                    low, high = (0 - MEAN[channel]) / STD[channel], (1 - MEAN[channel]) / STD[channel]
                    expected[channel] = np.clip(value, low, high)
                np.testing.assert_allclose(composed[position].numpy(), expected, atol=1e-5)
                position += 1


def test_the_compensators_here_do_clip(parts):
    low, high = NORMALISATION.valid_range
    free = NORMALISATION.normalise(parts[0])[:, None] + parts[1].transpose(0, 1)[:, :, None]
    assert ((free < low) | (free > high)).float().mean() > 0.1


def test_targets_follow_the_images():
    assert composed_targets(2, 3, 4).tolist() == [0, 1, 2, 3] * 6


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
def test_rounding_errs_by_half_a_step_at_most(parts, dtype):
    compensators = parts[1]
    stored = round_compensators(compensators, dtype)
    error = (unround_compensators(stored) - compensators).abs()
    if dtype == "int8":
        assert stored["scales"].shape == (M, K, 3)
        assert (error <= stored["scales"][..., None, None] * 0.5001).all()
        assert stored["compensators"].dtype == torch.int8 and stored["compensators"].abs().max() == 127
    else:
        assert error.max() <= (0 if dtype == "float32" else 2e-3)


def test_rounding_is_per_compensator_so_that_sets_share_it(parts):
    whole = unround_compensators(round_compensators(parts[1], "int8"))
    alone = unround_compensators(round_compensators(parts[1][:, :1], "int8"))
    assert torch.equal(whole[:, :1], alone)


def test_a_compensator_of_zeros_stays_zero():
    stored = round_compensators(torch.zeros(1, 1, 3, 2, 2), "int8")
    assert torch.equal(unround_compensators(stored), torch.zeros(1, 1, 3, 2, 2))
