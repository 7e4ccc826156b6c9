"""The optimisation of compensators against one written out plainly."""

import logging
import math
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from plain_optimisation import CLASSES, SIZE, adam, loss_terms, smooth_teacher
from torch import Tensor, nn

from infer.errors import RunError, UsageError
from infer.interruption import Terminated
from infer.methods.optimisation.augmentation import Augmentation, Transform
from infer.methods.optimisation.curves import CURVE_POINTS
from infer.methods.optimisation.loop import (
    MatchingLoss,
    OptimisationResult,
    Problem,
    compile_pays,
    descend,
    optimise,
)
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.methods.sets.compensators import compensation
from infer.training.checkpoint import Checkpoint

JITTER_PX = 3
SETTINGS = OptimisationSettings(
    iterations=20, lr=0.25, bn_weight=0.7, first_bn_multiplier=10.0, precision=GenerationPrecision.fp64
)


@pytest.fixture(scope="module")
def teacher() -> nn.Sequential:
    return smooth_teacher()


@pytest.fixture
def natural() -> Tensor:
    return torch.randn(3, CLASSES, 3, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def reference_terms(teacher: nn.Module, natural: Tensor, u: Tensor, shift: list[int]) -> tuple[Tensor, Tensor]:
    """Cross-entropy [] and matching penalty [] of one compensator ``u`` [3, H, W]."""
    seen = torch.roll(natural + u, tuple(shift), (2, 3))
    return loss_terms(teacher, seen, list(range(CLASSES)), SETTINGS.first_bn_multiplier)


def reference_gradient(teacher: nn.Module, natural: Tensor, u: Tensor, shift: list[int]) -> Tensor:
    u = u.clone().requires_grad_()
    cross_entropy, penalty = reference_terms(teacher, natural, u, shift)
    return torch.autograd.grad(cross_entropy + SETTINGS.bn_weight * penalty, u)[0]


def reference_run(teacher: nn.Module, natural: Tensor, shifts: Tensor) -> Tensor:
    """One compensator [3, H, W] after all iterations."""
    return adam(
        lambda u, t: reference_gradient(teacher, natural, u, shifts[t].tolist()),
        torch.zeros_like(natural[0]),
        SETTINGS.lr,
        len(shifts),
    )


def problem_of(natural: Tensor, iterations: int = SETTINGS.iterations, **others) -> Problem:
    groups = [("small", k) for k in range(len(natural))]
    return compensation(natural, Augmentation(JITTER_PX).draw(0, groups, iterations, SIZE), **others)


def objective_of(teacher: nn.Module, natural: Tensor) -> MatchingLoss:
    return MatchingLoss(teacher, problem_of(natural), SETTINGS)


def test_loss_and_gradient_at_given_compensators(teacher: nn.Module, natural: Tensor) -> None:
    torch.manual_seed(3)
    u, shifts = 0.5 * torch.randn(3, 1, 3, SIZE, SIZE, dtype=torch.float64), torch.tensor([[0, 0], [1, 3], [2, 0]])
    gradient, cross_entropy, penalty = objective_of(teacher, natural).gradient(u, Transform(shifts))
    for g, shift in enumerate(shifts.tolist()):
        expected = reference_terms(teacher, natural[g], u[g, 0], shift)
        torch.testing.assert_close((cross_entropy[g], penalty[g]), expected, rtol=1e-12, atol=1e-12)
        expected = reference_gradient(teacher, natural[g], u[g, 0], shift)
        torch.testing.assert_close(gradient[g, 0], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("per_class", [False, True])
def test_gradient_of_small_compensators_and_of_one_per_class(
    teacher: nn.Module, natural: Tensor, scale: int, per_class: bool
) -> None:
    """The gradient of a small u is the transpose of the enlargement applied to that of the whole images."""
    torch.manual_seed(5)
    problem = compensation(natural, problem_of(natural).transforms, per_class=per_class, scale=scale)
    assert problem.start.shape == (3, CLASSES if per_class else 1, 3, SIZE // scale, SIZE // scale)
    u, shifts = 0.5 * torch.randn(problem.start.shape, dtype=torch.float64), torch.tensor([[0, 0], [1, 3], [2, 0]])
    gradient, _, _ = MatchingLoss(teacher, problem, SETTINGS).gradient(u, Transform(shifts))
    enlarge = torch.nn.Upsample(scale_factor=scale, mode="bilinear")
    for g, shift in enumerate(shifts.tolist()):
        small = u[g].clone().requires_grad_()
        seen = torch.roll(natural[g] + enlarge(small), tuple(shift), (2, 3))
        cross_entropy, penalty = loss_terms(teacher, seen, list(range(CLASSES)), SETTINGS.first_bn_multiplier)
        (expected,) = torch.autograd.grad(cross_entropy + SETTINGS.bn_weight * penalty, small)
        torch.testing.assert_close(gradient[g], expected, rtol=1e-11, atol=1e-13)


def test_gradient_by_central_differences(teacher: nn.Module, natural: Tensor) -> None:
    torch.manual_seed(4)
    objective = objective_of(teacher, natural[:1])
    u, transform, step = (
        0.5 * torch.randn(1, 1, 3, SIZE, SIZE, dtype=torch.float64),
        Transform(torch.tensor([[2, 1]])),
        1e-5,
    )

    def loss(u: Tensor) -> float:
        _, cross_entropy, penalty = objective.gradient(u, transform)
        return (cross_entropy + SETTINGS.bn_weight * penalty).item()

    gradient, _, _ = objective.gradient(u, transform)
    for index in [(0, 0, 0, 0, 0), (0, 0, 1, 3, 7), (0, 0, 2, 7, 4)]:
        nudge = torch.zeros_like(u)
        nudge[index] = step
        slope = (loss(u + nudge) - loss(u - nudge)) / (2 * step)
        assert slope == pytest.approx(gradient[index].item(), rel=1e-6, abs=1e-8)


def test_trajectories_of_a_group_are_those_of_each_compensator_alone(teacher: nn.Module, natural: Tensor) -> None:
    problem = problem_of(natural)
    together = descend(objective_of(teacher, natural), problem, SETTINGS).squeeze(1)
    alone = torch.stack([reference_run(teacher, natural[g], problem.transforms.rolls[:, g]) for g in range(3)])
    assert together.abs().max() > 0.5
    assert (together - alone).abs().max() < 1e-9


def test_optimise_returns_the_trajectory_s_end_in_float32(teacher: nn.Module, natural: Tensor) -> None:
    result = optimise(teacher, problem_of(natural.float()), SETTINGS)
    end = descend(objective_of(teacher, natural.float().double()), problem_of(natural), SETTINGS)
    assert torch.equal(result.variable, end.float()) and not result.compiled


def test_curves_hold_the_state_before_each_noted_step(teacher: nn.Module, natural: Tensor) -> None:
    settings = replace(SETTINGS, iterations=3)
    low, high = torch.full((3,), -1.0), torch.tensor([1.0, 1.5, 2.0])
    problem = problem_of(natural, 3, bounds=(low, high))
    states = []
    descend(objective_of(teacher, natural), problem, settings, lambda _, u, *__: states.append(u[:, 0].clone()))
    curves = optimise(teacher, problem, settings).curves
    assert curves["iteration"].tolist() == [0, 1, 2]
    assert set(curves) == {"iteration", "cross_entropy", "bn_penalty", "norm", "clipped_share"}
    for t, u in enumerate(states):
        for g in range(3):
            shift = problem.transforms.rolls[t, g].tolist()
            cross_entropy, penalty = reference_terms(teacher, natural[g], u[g], shift)
            assert curves["cross_entropy"][t, g].item() == pytest.approx(cross_entropy.item(), rel=1e-6)
            assert curves["bn_penalty"][t, g].item() == pytest.approx(penalty.item(), rel=1e-6)
            assert curves["norm"][t, g].item() == pytest.approx(u[g].square().sum().sqrt().item(), rel=1e-6)
            composed = (natural[g] + u[g]).transpose(0, 1).flatten(1)
            clipped = (composed < low[:, None]) | (composed > high[:, None])
            assert curves["clipped_share"][t, g].item() == pytest.approx(clipped.double().mean().item())


def test_curves_are_about_a_hundred_points_with_both_ends(teacher: nn.Module, natural: Tensor) -> None:
    settings = replace(SETTINGS, iterations=250, precision=GenerationPrecision.fp32)
    heard = []
    curves = optimise(teacher, problem_of(natural[:1], 250), settings, heard.append).curves
    points = curves["iteration"].tolist()
    assert (points[0], points[-1], len(points)) == (0, 249, CURVE_POINTS)
    assert points == sorted(set(points))
    assert heard == list(range(1, 251))
    assert "clipped_share" not in curves
    loss = curves["cross_entropy"] + SETTINGS.bn_weight * curves["bn_penalty"]
    assert loss[-1].item() < 0.5 * loss[0].item()


def test_loss_that_is_not_finite_stops_the_run_in_one_line(teacher: nn.Module, natural: Tensor) -> None:
    with pytest.raises(RunError) as caught:
        optimise(teacher, problem_of(natural), replace(SETTINGS, lr=1e300), name="small")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("'small'", "iteration 1 of 20", "method.lr", "method.bn_weight"))


def test_compensators_that_are_not_finite_at_the_end(teacher: nn.Module, natural: Tensor) -> None:
    with pytest.raises(RunError, match="the end of 1"):
        optimise(teacher, problem_of(natural, 1), replace(SETTINGS, iterations=1, lr=math.inf))


@pytest.mark.parametrize("stop", [1, 7, 19, 20])
def test_an_interrupted_optimisation_ends_with_the_same_bits(teacher, natural, tmp_path, stop) -> None:
    settings = replace(SETTINGS, precision=GenerationPrecision.fp32)
    problem = replace(problem_of(natural), gradient_before=torch.ones(3, 1, 3, SIZE, SIZE))
    whole = optimise(teacher, problem, settings)
    heard = []

    def work(on_progress) -> OptimisationResult:
        return optimise(teacher, problem, settings, on_progress, "small", Checkpoint(tmp_path, "key", 0.0))

    with pytest.raises(KeyboardInterrupt):
        work(lambda done: _stop_at(stop, done))
    result = work(heard.append)
    assert heard == list(range(max(1, stop - 1), 21))
    assert torch.equal(result.variable, whole.variable)
    assert result.curves.keys() == whole.curves.keys()
    assert all(torch.equal(values, whole.curves[name]) for name, values in result.curves.items())


def test_a_signal_loses_no_iteration(teacher, natural, tmp_path, signals) -> None:
    whole, heard = optimise(teacher, problem_of(natural), SETTINGS), []

    def work(on_progress) -> OptimisationResult:
        checkpoint = Checkpoint(tmp_path, "key", 1000.0)
        return optimise(teacher, problem_of(natural), SETTINGS, on_progress, "small", checkpoint)

    with pytest.raises(Terminated):
        work(lambda done: signal.raise_signal(signal.SIGUSR1) if done == 7 else None)
    assert torch.equal(work(heard.append).variable, whole.variable)
    assert heard[:2] == [7, 8]


def _stop_at(stop: int, done: int) -> None:
    if done == stop:
        raise KeyboardInterrupt


def test_teacher_without_batchnorm_layers_is_named(natural: Tensor) -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES))
    with pytest.raises(UsageError, match="'plain' has no BatchNorm layer"):
        optimise(plain, problem_of(natural), SETTINGS, name="plain")


def test_without_a_compiler_the_run_goes_on(
    teacher: nn.Module,
    natural: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with caplog.at_level(logging.WARNING, logger="infer"):
        result = optimise(teacher, problem_of(natural), replace(SETTINGS, compile=True), name="small")
    (record,) = caplog.records
    assert "'small' is not compiled" in record.getMessage() and "\n" not in record.getMessage()
    assert not result.compiled
    assert torch.equal(result.variable, optimise(teacher, problem_of(natural), SETTINGS).variable)


def test_more_teachers_than_the_compiler_s_usual_limit(teacher: nn.Module, natural: Tensor, monkeypatch) -> None:
    """One process may compile for many teachers and shapes; torch gives up at eight unless told otherwise."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    for classes in range(2, 12):
        head = nn.Linear(108, classes).double()
        images = natural.flatten(0, 1)[:classes].unsqueeze(0)
        assert objective_of(nn.Sequential(*teacher[:-1], head), images).compile()


@pytest.mark.slow
def test_compiled_equals_eager(teacher: nn.Module, natural: Tensor) -> None:
    eager, compiled = objective_of(teacher, natural), objective_of(teacher, natural)
    assert compiled.compile()
    torch.manual_seed(5)
    problem = problem_of(natural)
    u, transform = torch.randn(3, 1, 3, SIZE, SIZE, dtype=torch.float64), problem.transforms[0]
    torch.testing.assert_close(compiled.gradient(u, transform), eager.gradient(u, transform), rtol=1e-10, atol=1e-12)
    ends = [descend(objective, problem, SETTINGS) for objective in (compiled, eager)]
    assert (ends[0] - ends[1]).abs().max() < 1e-9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compile", [False, True])
def test_on_a_gpu(teacher: nn.Module, natural: Tensor, compile: bool) -> None:
    settings = replace(SETTINGS, compile=compile)
    on_gpu = optimise(teacher, problem_of(natural.cuda()), settings)
    assert on_gpu.compiled == compile and on_gpu.variable.device.type == "cpu"
    torch.testing.assert_close(
        on_gpu.variable, optimise(teacher, problem_of(natural), SETTINGS).variable, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("scale", [1, 4])
def test_compiling_is_decided_by_the_size_of_the_images(monkeypatch, teacher: nn.Module, natural: Tensor, scale: int):
    asked = []
    monkeypatch.setattr("infer.methods.optimisation.loop.compile_pays", lambda *work: asked.append(work))
    optimise(teacher, problem_of(natural, 2, scale=scale), replace(SETTINGS, iterations=2))
    assert asked == [(2, 3 * CLASSES, SIZE)]


def test_compiling_pays_for_long_runs_of_large_images_only() -> None:
    assert not compile_pays(iterations=200, images_per_iteration=30, image_size=8)
    assert not compile_pays(iterations=50, images_per_iteration=30, image_size=32)
    assert not compile_pays(iterations=300, images_per_iteration=50, image_size=32)
    assert compile_pays(iterations=1000, images_per_iteration=50, image_size=32)  # CIFAR-10 in its groups of five
    assert compile_pays(iterations=1000, images_per_iteration=100, image_size=32)
    assert compile_pays(iterations=2000, images_per_iteration=1000, image_size=224)
