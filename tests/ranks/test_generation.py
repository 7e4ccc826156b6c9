"""Compensators made by several ranks: those of one process, whatever the number of ranks."""

from typing import Any

import pytest
import torch
from helpers.ranks import on_ranks
from torch import Tensor, nn

from infer.methods.infer import ChunkStatistics
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.optimisation.chunked_loss import ChunkedMatchingLoss
from infer.methods.optimisation.loop import descend, optimise
from infer.methods.optimisation.loss import MatchingLoss
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.methods.sets.compensators import compensation
from infer.ranks import ranks

_GROUPS, _CLASSES, _SIZE = 2, 5, 8
_SETTINGS = OptimisationSettings(iterations=12, bn_weight=0.7, precision=GenerationPrecision.fp64)
_SEVERAL = [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)]
_CASES: dict[str, dict[str, Any]] = {
    "all classes at once": {},
    "chunks": {"class_chunk": 2},
    "statistics of each chunk": {"class_chunk": 2, "chunk_statistics": ChunkStatistics.each},
    "per class": {"per_class": True, "scale": 2},
}
_QUICK = ("all classes at once", "chunks")


def teacher() -> nn.Module:
    """Smooth, with statistics that images are far from."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.SiLU(), nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6)
    network = nn.Sequential(*layers, nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, _CLASSES))
    for norm in (layers[1], layers[4]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return network.double().eval()


def made(case: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Compensators in float64 and the curves of their optimisation."""
    natural = torch.randn(_GROUPS, _CLASSES, 3, _SIZE, _SIZE, dtype=torch.float64, generator=torch.manual_seed(2))
    transforms = Augmentation(3, crop_scale_min=0.5).draw(0, [("t", k) for k in range(_GROUPS)], 12, _SIZE)
    bounds = torch.full((3,), -1.0), torch.ones(3)
    problem = compensation(natural, transforms, bounds, **case)
    kind = MatchingLoss if ranks.count == 1 and "class_chunk" not in case else ChunkedMatchingLoss
    exact = descend(kind(teacher(), problem, _SETTINGS), problem, _SETTINGS)
    result = optimise(teacher(), problem, _SETTINGS)
    torch.testing.assert_close(result.variable, exact.float())
    return exact, result.curves


@pytest.mark.parametrize("count", _SEVERAL)
@pytest.mark.parametrize(
    "case", [*_QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in _CASES if case not in _QUICK)]
)
def test_compensators_are_those_of_one_process(tmp_path, count, case):
    exact, curves = made(_CASES[case])
    assert exact.abs().max() > 0.1
    for of_rank, seen in on_ranks(count, tmp_path, made, _CASES[case]):
        assert (of_rank - exact).abs().max() < 1e-10
        for name, values in curves.items():
            torch.testing.assert_close(seen[name], values, rtol=1e-6, atol=1e-7)
