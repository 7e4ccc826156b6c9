"""Lengths and learning rates of a training."""

import math

import pytest
import torch

from infer.config.training import Schedule, ScheduleUnit, Training
from infer.training.growth import Growth
from infer.training.plan import Plan


def rates_of(plan: Plan) -> list[float]:
    return [plan.lr_at(step) for step in range(plan.total_steps)]


def torch_cosine(lr: float, ticks: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=ticks)
    rates = []
    for _ in range(ticks):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    "length, num_images, override, steps_per_epoch, total, epochs, seen",
    [
        ({"epochs": 3}, 128, None, 2, 6, 3, 384),
        ({"epochs": 3}, 130, None, 3, 9, 3, 390),
        ({"epochs": 3}, 129, None, 3, 9, 3, 390),  # the single image left over is joined by a second one
        ({"epochs": 2}, 10, None, 1, 2, 2, 20),
        ({"epochs": 2}, 1, None, 1, 2, 2, 2),
        ({"steps": 7}, 130, None, 3, 7, 3, 2 * 130 + 64),
        ({"steps": 2}, 1000, None, 16, 2, 1, 128),
        ({"epochs": 3}, 130, 4, 3, 4, 2, 130 + 64),
        ({"steps": 7}, 130, 4, 3, 4, 2, 130 + 64),
    ],
)
def test_lengths(length, num_images, override, steps_per_epoch, total, epochs, seen):
    plan = Plan(Training(batch_size=64, **length), num_images, steps=override)
    assert (plan.steps_per_epoch, plan.total_steps, plan.epochs) == (steps_per_epoch, total, epochs)
    assert plan.samples_seen == seen
    assert len(plan.batch_sizes) == steps_per_epoch
    assert [step for epoch in range(epochs) for step in plan.steps_of(epoch)] == list(range(total))


def test_cosine_by_epoch_is_torchs_stepped_per_epoch():
    plan = Plan(Training(epochs=7, lr=0.3), num_images=150)
    expected = [lr for lr in torch_cosine(0.3, 7) for _ in range(3)]
    assert rates_of(plan) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(Training(epochs=4, lr=0.3, schedule_unit=ScheduleUnit.step), num_images=150),
        Plan(Training(steps=12, lr=0.3), num_images=150),
        Plan(Training(epochs=400, lr=0.3), num_images=150, steps=12),
    ],
    ids=["unit", "length in steps", "length replaced"],
)
def test_cosine_by_step_is_torchs_stepped_per_update(plan):
    assert rates_of(plan) == pytest.approx(torch_cosine(0.3, 12), rel=1e-9)


def test_warm_up_rises_evenly_to_the_peak_where_the_cosine_begins():
    rates = rates_of(Plan(Training(steps=20, lr=1.0, warmup=0.2), num_images=64))
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:] == pytest.approx(torch_cosine(1.0, 16))


@pytest.mark.parametrize("warmup, expected", [(0.01, [0.5, 1.0, 0.75, 0.25]), (0.99, [0.25, 0.5, 0.75, 1.0])])
def test_warm_up_and_cosine_each_get_at_least_one_epoch(warmup, expected):
    plan = Plan(Training(epochs=4, lr=1.0, warmup=warmup), num_images=64)
    assert rates_of(plan) == pytest.approx(expected)


def test_one_step_trains_at_the_peak():
    assert rates_of(Plan(Training(steps=1, lr=0.3, warmup=0.5), num_images=64)) == [0.3]


def test_last_rate_is_above_zero():
    assert 0 < rates_of(Plan(Training(epochs=400, lr=1.0), num_images=64))[-1] < math.pi**2 / 400**2


def test_tests_come_every_so_many_epochs_and_last():
    plan = Plan(Training(epochs=7, test_every=3), num_images=64)
    assert [epoch for epoch in range(7) if plan.is_tested(epoch)] == [2, 5, 6]


@pytest.mark.parametrize(
    "settings", [Training(epochs=8, batch_size=10, test_every=2), Training(steps=80, batch_size=10, test_every=20)]
)
def test_a_replaced_length_is_tested_as_often(settings):
    """Sets of different sizes that make the same number of updates are tested at the same shares of them."""
    own = Plan(settings, num_images=100)
    for num_images in (20, 100, 400):
        plan = Plan(settings, num_images=num_images, steps=own.total_steps)
        tested = [plan.steps_of(epoch).stop for epoch in range(plan.epochs) if plan.is_tested(epoch)]
        assert tested[-1] == 80
        assert tested == ([20, 40, 60, 80] if num_images < 400 else [40, 80])


def test_half_a_cosine_is_rdeds():
    rates = rates_of(Plan(Training(epochs=300, lr=1e-3, schedule=Schedule.half_cosine), num_images=150))
    expected = [1e-3 * 0.5 * (1 + math.cos(math.pi * epoch / 300 / 2)) for epoch in range(300) for _ in range(3)]
    assert rates == pytest.approx(expected, rel=1e-9)
    assert rates[-1] == pytest.approx(0.5e-3, rel=0.01)


def test_a_warm_up_with_a_start_is_torchvisions():
    plan = Plan(Training(epochs=100, lr=0.2, warmup=0.05, warmup_start=0.01), num_images=64)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=5)
    optimizer.step()
    for epoch in range(5):
        assert plan.lr_at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        warm_up.step()
    assert [plan.lr_at(epoch) for epoch in range(5, 100)] == pytest.approx(torch_cosine(0.2, 95))


def test_tests_can_wait_for_the_last_fifth():
    """RDED tests after the epochs 250, 260, ..., 300 of 300: those beyond 80 %."""
    plan = Plan(Training(epochs=300, test_every=10, test_from=0.8), num_images=150)
    assert [epoch + 1 for epoch in range(300) if plan.is_tested(epoch)] == [250, 260, 270, 280, 290, 300]
    replaced = Plan(Training(epochs=300, test_every=10, test_from=0.8), num_images=150, steps=90)
    assert [epoch + 1 for epoch in range(30) if replaced.is_tested(epoch)] == [25, 26, 27, 28, 29, 30]


@pytest.mark.parametrize(
    ("images", "batch", "accumulate", "together"),
    [(20, 64, 1, 20), (100, 64, 1, 64), (100, 64, 4, 16), (65, 64, 1, 64)],
)
def test_no_more_images_pass_together_than_there_are(images, batch, accumulate, together):
    assert Plan(Training(epochs=1, batch_size=batch, accumulate=accumulate), images).largest_part == together


@pytest.mark.parametrize(
    "growth, epochs, size, sizes",
    [
        (Growth(16, 0.5, 0.8), 10, 32, [16, 16, 16, 16, 16, 16, 20, 24, 32, 32]),
        (Growth(16, 0.5, 0.65), 6, 32, [16, 16, 16, 16, 32, 32]),
        (Growth(18, 0.0, 0.5), 8, 32, [18, 20, 24, 28, 32, 32, 32, 32]),
        (Growth(32, 0.5, 0.8), 3, 32, [32, 32, 32]),
        (Growth(16, 0.5, 0.8), 1, 32, [32]),
    ],
)
def test_images_grow_to_their_own_size(growth, epochs, size, sizes):
    plan = Plan(Training(epochs=epochs, batch_size=64), num_images=130, growth=growth)
    assert plan.sizes(size) == sizes
    assert plan.whole_images(130 * epochs, size) == round(sum(130 * (side / size) ** 2 for side in sizes))


def test_a_length_in_updates_grows_too_and_its_last_epoch_may_be_short():
    plan = Plan(Training(steps=7, batch_size=64), num_images=130, growth=Growth(16, 0.5, 0.8))
    assert plan.sizes(32) == [16, 16, 32]
    assert plan.whole_images(plan.samples_seen, 32) == round((260 * 16**2 + 64 * 32**2) / 32**2)


def test_images_that_grow_are_counted_by_their_pixels():
    plan = Plan(Training(epochs=4, batch_size=64), num_images=100, growth=Growth(16, 0.5, 0.6))
    assert [plan.whole_images(shown, 32) for shown in (0, 64, 200, 264, 400)] == [0, 16, 50, 50 + 16, 75 + 100]


def test_without_growth_every_image_is_a_whole_one():
    plan = Plan(Training(epochs=3, batch_size=64), num_images=129)
    assert plan.sizes(32) == [32, 32, 32] and plan.whole_images(200, 32) == 200
