"""Composed images on demand: those of ``compose``, whatever is asked for."""

import pytest
import torch

from infer.distilled.compose import ComposedOnDemand, compose
from infer.normalisation import Normalisation

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
NORMALISATION = Normalisation.of(MEAN, STD)


@pytest.fixture
def parts():
    """K=3 subsets of 4 classes and the compensators of 2 teachers."""
    generator = torch.Generator().manual_seed(0)
    natural = torch.randint(0, 256, (3, 4, 3, 6, 6), generator=generator, dtype=torch.uint8)
    return natural, torch.randn(2, 3, 3, 6, 6, generator=generator)


def test_all_images_are_those_composed_at_once(parts):
    on_demand = ComposedOnDemand(*parts, NORMALISATION)
    at_once = compose(*parts, NORMALISATION)
    assert on_demand.shape == at_once.shape == (36, 3, 6, 6) and on_demand.dtype == at_once.dtype
    assert torch.equal(on_demand[:], at_once)


def test_any_images_in_any_order(parts):
    rows = torch.tensor([35, 0, 17, 4, 17, 12])
    assert torch.equal(ComposedOnDemand(*parts, NORMALISATION)[rows], compose(*parts, NORMALISATION)[rows])


def test_the_parts_stay_as_they_are(parts):
    natural, compensators = (part.clone() for part in parts)
    ComposedOnDemand(*parts, NORMALISATION)[:]
    assert torch.equal(parts[0], natural) and torch.equal(parts[1], compensators)
