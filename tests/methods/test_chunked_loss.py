"""Classes in chunks: the objective against that of one pass of all classes, and against both written out plainly."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from plain_optimisation import CLASSES, SIZE, adam, loss_terms, smooth_teacher, trained
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from infer.methods.infer import ChunkStatistics
from infer.methods.optimisation.augmentation import Augmentation, Transform
from infer.methods.optimisation.chunked_loss import ChunkedMatchingLoss
from infer.methods.optimisation.loop import descend, optimise
from infer.methods.optimisation.loss import MatchingLoss, Problem
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.methods.sets.compensators import compensation
from infer.models import build

GROUPS, CHUNK = 2, 3
CHUNKS = [range(3), range(3, CLASSES)]
SETTINGS = OptimisationSettings(
    iterations=12, lr=0.25, bn_weight=0.7, first_bn_multiplier=10.0, precision=GenerationPrecision.fp64
)
VARIANCE_WEIGHT = 3.0
ALL, EACH = ChunkStatistics
BOTH = pytest.mark.parametrize("statistics", [ALL, EACH], ids=["all", "each"])

TEACHERS: dict[str, Callable[[], nn.Module]] = {
    "smooth": lambda: smooth_teacher().eval(),
    "resnet8_w8": lambda: trained(build("resnet8_w8", CLASSES, 32), 32),
    "efficientnet_b0, one norm never fires": lambda: trained(build("efficientnet_b0", CLASSES, 32), 32),
    "timm/efficientnet_b0, norms that activate": lambda: trained(build("timm/efficientnet_b0", CLASSES, 32), 32),
}
BOUNDS = torch.full((3,), -1.0), torch.tensor([0.5, 1.0, 1.5])
Terms = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(scope="module", params=TEACHERS)
def teacher(request) -> nn.Module:
    return TEACHERS[request.param]()


@pytest.fixture(scope="module")
def smooth() -> nn.Sequential:
    return smooth_teacher()


def problem_of(
    size: int,
    crop_scale_min: float | None = None,
    class_chunk: int | None = CHUNK,
    statistics: ChunkStatistics = ALL,
) -> Problem:
    drawn = torch.Generator().manual_seed(2)
    natural = torch.randn(GROUPS, CLASSES, 3, size, size, dtype=torch.float64, generator=drawn)
    groups = [("small", k) for k in range(GROUPS)]
    transforms = Augmentation(3, crop_scale_min=crop_scale_min).draw(0, groups, SETTINGS.iterations, size)
    problem = compensation(natural, transforms, BOUNDS, class_chunk, statistics)
    return replace(problem, variance_weight=VARIANCE_WEIGHT)


def size_for(teacher: nn.Module) -> int:
    return SIZE if isinstance(teacher, nn.Sequential) else 32


def compensators(size: int) -> Tensor:
    drawn = torch.Generator().manual_seed(3)
    return 0.5 * torch.randn(GROUPS, 1, 3, size, size, dtype=torch.float64, generator=drawn)


def plain_terms(teacher: nn.Module, natural: Tensor, u: Tensor, shift: list[int], parts: list[range]) -> Terms:
    """Gradient, cross-entropy and penalty of one compensator [3, H, W], with the statistics of each of the parts."""
    u = u.clone().requires_grad_()
    seen = torch.roll(natural + u, tuple(shift), (2, 3))
    multipliers = SETTINGS.first_bn_multiplier, VARIANCE_WEIGHT
    terms = [loss_terms(teacher, seen[list(part)], list(part), *multipliers) for part in parts]
    cross_entropy, penalty = (
        sum(len(part) * term[i] for part, term in zip(parts, terms, strict=True)) / CLASSES for i in (0, 1)
    )
    (gradient,) = torch.autograd.grad(cross_entropy + SETTINGS.bn_weight * penalty, u)
    return gradient, cross_entropy.detach(), penalty.detach()


@pytest.mark.parametrize(("statistics", "parts"), [(ALL, [range(CLASSES)]), (EACH, CHUNKS)], ids=["all", "each"])
def test_as_written_out_plainly(teacher: nn.Module, statistics: ChunkStatistics, parts: list[range]) -> None:
    size = size_for(teacher)
    problem, u = problem_of(size, statistics=statistics), compensators(size)
    shifts = torch.tensor([[1, 3], [2, 0]])
    found = ChunkedMatchingLoss(teacher, problem, SETTINGS).gradient(u, Transform(shifts))
    for g, shift in enumerate(shifts.tolist()):
        expected = plain_terms(teacher, problem.base[g], u[g, 0], shift, parts)
        of_group = found[0][g, 0], found[1][g], found[2][g]
        torch.testing.assert_close(of_group, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("class_chunk", [1, CHUNK, CLASSES, CLASSES + 1])
def test_statistics_over_all_make_the_gradient_of_one_pass(smooth: nn.Module, class_chunk: int) -> None:
    problem, u = problem_of(SIZE, crop_scale_min=0.3, class_chunk=class_chunk), compensators(SIZE)
    expected = MatchingLoss(smooth, problem, SETTINGS).gradient(u, problem.transforms[0])
    found = ChunkedMatchingLoss(smooth, problem, SETTINGS).gradient(u, problem.transforms[0])
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_statistics_of_each_chunk_are_something_else(smooth: nn.Module) -> None:
    u = compensators(SIZE)
    problems = [problem_of(SIZE, statistics=statistics) for statistics in (ALL, EACH)]
    over_all, each = (ChunkedMatchingLoss(smooth, p, SETTINGS).gradient(u, p.transforms[0]) for p in problems)
    torch.testing.assert_close(each[1], over_all[1])
    assert (each[2] > 1.001 * over_all[2]).all()
    assert (each[0] - over_all[0]).norm() > 0.03 * over_all[0].norm()


def test_trajectory_with_statistics_over_all_is_that_of_one_pass(smooth: nn.Module) -> None:
    problem = problem_of(SIZE)
    ends = [descend(kind(smooth, problem, SETTINGS), problem, SETTINGS) for kind in (MatchingLoss, ChunkedMatchingLoss)]
    assert ends[0].abs().max() > 0.5
    assert (ends[1] - ends[0]).abs().max() < 1e-9


def test_trajectory_with_statistics_of_each_chunk(smooth: nn.Module) -> None:
    problem = problem_of(SIZE, statistics=EACH)
    end = descend(ChunkedMatchingLoss(smooth, problem, SETTINGS), problem, SETTINGS)
    for g, natural in enumerate(problem.base):
        shifts = problem.transforms.rolls[:, g].tolist()
        alone = adam(
            lambda u, t, natural=natural, shifts=shifts: plain_terms(smooth, natural, u, shifts[t], CHUNKS)[0],
            torch.zeros_like(natural[0]),
            SETTINGS.lr,
            SETTINGS.iterations,
        )
        assert (end[g, 0] - alone).abs().max() < 1e-9


@BOTH
def test_in_float32(smooth: nn.Module, statistics: ChunkStatistics) -> None:
    problem, u = problem_of(SIZE, statistics=statistics), compensators(SIZE)
    exact = ChunkedMatchingLoss(smooth, problem, SETTINGS).gradient(u, problem.transforms[0])
    single = replace(SETTINGS, precision=GenerationPrecision.fp32)
    found = ChunkedMatchingLoss(smooth, problem, single).gradient(u.float(), problem.transforms[0])
    for value, expected in zip(found, exact, strict=True):
        assert (value - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize(
    ("class_chunk", "statistics", "passes"),
    [(None, ALL, 1), (CHUNK, ALL, 2), (CHUNK, EACH, 1)],
    ids=["none", "all", "each"],
)
def test_batches_that_the_teacher_sees(class_chunk: int | None, statistics: ChunkStatistics, passes: int) -> None:
    """With statistics over all classes every image passes twice; never more than a chunk of every group at a time."""
    teacher, batches = smooth_teacher(), []
    teacher.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))  # copied with the teacher
    problem = problem_of(SIZE, class_chunk=class_chunk, statistics=statistics)
    optimise(teacher, problem, replace(SETTINGS, iterations=2))
    assert sum(batches) == 2 * passes * GROUPS * CLASSES
    assert max(batches) == GROUPS * (class_chunk or CLASSES)


class LargestTensor(TorchDispatchMode):
    """The number of values in the largest tensor that is computed."""

    values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        is_view = any(argument.alias_info for argument in function._schema.arguments)
        for tensor in result if isinstance(result, list | tuple) else [result]:
            if isinstance(tensor, Tensor) and not is_view:
                self.values = max(self.values, tensor.numel())
        return result


@BOTH
def test_nothing_of_the_size_of_all_classes_is_computed(statistics: ChunkStatistics) -> None:
    """By a teacher without a layer that is larger than its images, neither for a gradient nor for the curves."""
    teacher = trained(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * SIZE**2, 4)))
    problem, u = problem_of(SIZE, crop_scale_min=0.3, class_chunk=1, statistics=statistics), compensators(SIZE)
    objective = ChunkedMatchingLoss(teacher, problem, SETTINGS)
    with LargestTensor() as largest:
        objective.gradient(u, problem.transforms[0])
        problem.measure(u)
    assert largest.values == GROUPS * 3 * SIZE**2


def test_clipped_share_does_not_depend_on_chunks() -> None:
    u = compensators(SIZE)
    shares = [problem_of(SIZE, class_chunk=chunk).measure(u)["clipped_share"] for chunk in (None, 1, CHUNK)]
    assert torch.equal(shares[1], shares[0]) and torch.equal(shares[2], shares[0])
    composed = (problem_of(SIZE).base + u).movedim(2, -1)
    clipped = (composed < BOUNDS[0]) | (composed > BOUNDS[1])
    torch.testing.assert_close(shares[0], clipped.float().mean((1, 2, 3, 4)))


@BOTH
def test_compiled_graphs_without_breaks(smooth: nn.Module, statistics: ChunkStatistics, monkeypatch) -> None:
    """Compiled code run as it is, in float64, so nothing has to be built; the last chunk is another graph."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    assert_compiled_equals_eager(smooth, statistics)


@pytest.mark.slow
@BOTH
def test_compiled_equals_eager(smooth: nn.Module, statistics: ChunkStatistics) -> None:
    assert_compiled_equals_eager(smooth, statistics)


def assert_compiled_equals_eager(teacher: nn.Module, statistics: ChunkStatistics) -> None:
    problem, u = problem_of(SIZE, statistics=statistics), compensators(SIZE)
    eager, compiled = (ChunkedMatchingLoss(teacher, problem, SETTINGS) for _ in range(2))
    assert compiled.compile()
    found, expected = (objective.gradient(u, problem.transforms[0]) for objective in (compiled, eager))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compile", [False, True])
@BOTH
def test_on_a_gpu(smooth: nn.Module, statistics: ChunkStatistics, compile: bool) -> None:
    problem = problem_of(SIZE, statistics=statistics)
    on_gpu = replace(problem, start=problem.start.cuda(), base=problem.base.cuda(), measure=lambda x: {})
    found = optimise(smooth, on_gpu, replace(SETTINGS, compile=compile))
    assert found.compiled == compile
    torch.testing.assert_close(found.variable, optimise(smooth, problem, SETTINGS).variable, rtol=1e-6, atol=1e-6)
