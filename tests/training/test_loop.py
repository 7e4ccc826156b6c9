"""The loop against a plain one, what it records, and how it ends."""

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from infer.config.training import Optimizer, Training
from infer.errors import RunError
from infer.training.batches import BatchSource
from infer.training.draws import Draws
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.training.scoring import run_test

STREAM = (0, "student", "tiny", 1)


def settings_of(**changes) -> Training:
    return Training(**{"epochs": 4, "batch_size": 8, "lr": 0.01, "crop_padding": 1, "test_every": 2} | changes)


def train(net, images, settings=None, objective=None, steps=None, stream=STREAM, **options):
    """`fit` with hard labels and MixUp."""
    plan = Plan(settings or settings_of(), len(images), steps=steps, mix_alpha=0.8)
    return fit(net, images, objective or hard_label_objective(images.targets), plan, stream=stream, **options)


def plain_loop(net, images, settings):
    """Contiguous tensors, unfused optimisers, torch's scheduler and torch's average; returns the average."""
    plan = Plan(settings, len(images), mix_alpha=0.8)
    source, objective = BatchSource(images, plan, Draws(STREAM)), hard_label_objective(images.targets)
    if settings.optimizer == Optimizer.sgd:
        optimizer = torch.optim.SGD(net.parameters(), settings.lr, momentum=0.9, weight_decay=0.01)
    else:
        optimizer = torch.optim.AdamW(net.parameters(), settings.lr, betas=(0.9, 0.999), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    average.update_parameters(net)
    for epoch in range(settings.epochs):
        for batch in source.epoch(epoch):
            optimizer.zero_grad()
            objective(net(batch.images.contiguous()), batch).backward()
            optimizer.step()
            average.update_parameters(net)
        scheduler.step()
    return average.module


def assert_same_weights(net, other, **tolerance):
    expected = other.state_dict()
    for name, value in net.state_dict().items():
        if value.is_floating_point():  # torch's average truncates the count of batches
            torch.testing.assert_close(value, expected[name], **tolerance)


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_training_is_that_of_a_plain_loop(make_net, separable, optimizer, ema_decay):
    net, other, images = make_net(), make_net(), separable(30)
    net.dropout.p = other.dropout.p = 0.0  # the masks of two memory layouts differ
    settings = settings_of(optimizer=optimizer, ema_decay=ema_decay)
    train(net, images, settings)
    average = plain_loop(other, images, settings)
    assert_same_weights(net, average if ema_decay else other, rtol=1e-3, atol=1e-5)


def test_a_separable_set_is_learnt(make_net, separable):
    net, images = make_net(), separable(96)
    result = train(net, images, settings_of(epochs=10, batch_size=16, lr=0.03), tests={"test": separable(60, seed=1)})
    assert result.scores["test/top1"] > 90
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_records(make_net, separable, ema_decay):
    net, images, test, seen = make_net(), separable(20), separable(30, seed=1), []
    settings = settings_of(epochs=5, ema_decay=ema_decay)
    result = train(net, images, settings, tests={"test": test, "val": separable(9)}, on_epoch=seen.append)
    plan = Plan(settings, 20)
    assert seen == result.history
    assert [record["epoch"] for record in seen] == [1, 2, 3, 4, 5]
    assert [record["step"] for record in seen] == [3, 6, 9, 12, 15]
    assert [record["lr"] for record in seen] == [plan.lr_at(3 * epoch) for epoch in range(5)]
    assert [record["epoch"] for record in seen if "test/top1" in record] == [2, 4, 5]
    assert result.scores.keys() == {"test/top1", "val/top1"}
    assert result.scores["test/top1"] == run_test(net, test).scores["top1"]  # what is tested is what is kept
    assert not net.training and all(parameter.grad is None for parameter in net.parameters())
    assert (result.steps, result.samples_seen) == (15, 100)


def test_the_best_epoch_is_the_first_of_the_highest(make_net, separable):
    result = train(
        make_net(), separable(20), settings_of(epochs=6, test_every=1), tests={"test": separable(30, seed=1)}
    )
    tops = [record["test/top1"] for record in result.history]
    best = result.best["test/top1_best_epoch"]
    assert best == {"value": max(tops), "epoch": 1 + tops.index(max(tops))}


def test_train_loss_is_the_mean_over_the_images_shown(make_net, separable):
    losses = []

    def objective(logits, batch):
        loss = logits.square().mean()
        losses.append((loss.item(), len(batch.index)))
        return loss

    result = train(make_net(), separable(20), settings_of(epochs=1), objective=objective)
    assert [count for _, count in losses] == [8, 8, 4]
    assert result.history[0]["train_loss"] == pytest.approx(sum(loss * count for loss, count in losses) / 20)


def test_a_given_number_of_steps_is_made(make_net, separable):
    result = train(make_net(), separable(20), steps=7)
    assert (result.steps, result.samples_seen, len(result.history)) == (7, 48, 3)


def test_same_unit_same_weights_other_unit_others(make_net, separable):
    nets = [make_net() for _ in range(3)]
    images = separable(20)
    for net, stream in zip(nets, [STREAM, STREAM, (1, *STREAM[1:])], strict=True):
        train(net, images, stream=stream)
    assert_same_weights(nets[0], nets[1], rtol=0, atol=0)
    assert not torch.equal(nets[0].fc.weight, nets[2].fc.weight)


def test_the_callers_random_state_is_left_alone(make_net, separable):
    net = make_net()
    state = torch.get_rng_state()
    train(net, separable(20))
    assert torch.equal(torch.get_rng_state(), state)


def test_bytes_and_normalised_images_train_alike(make_net, separable):
    net, other, images = make_net(), make_net(), separable(20)
    train(net, images)
    normalised = copy.copy(images)
    object.__setattr__(normalised, "pixels", images.normalised(images.pixels))
    train(other, normalised)
    assert_same_weights(net, other, rtol=1e-3, atol=1e-5)


def test_bf16_trains_float32_weights(make_net, separable):
    net, images = make_net(), separable(96)
    result = train(
        net,
        images,
        settings_of(epochs=10, batch_size=16, lr=0.03),
        precision="bf16",
        tests={"test": separable(60, seed=1)},
    )
    assert all(value.dtype == torch.float32 for value in net.parameters())
    assert result.scores["test/top1"] > 90


@pytest.mark.parametrize("precision, advice", [("fp32", "one$"), ("bf16", "one or precision=fp32$")])
def test_a_loss_that_becomes_nan_ends_the_run(make_net, separable, precision, advice):
    images, calls = separable(20), []

    def objective(logits, batch):
        calls.append(batch)
        return logits.sum() * (float("nan") if len(calls) == 5 else 1.0)

    with pytest.raises(RunError, match=rf"^student tiny 1 \(seed 0\).* epoch 2 of 4 .*0\.00854; try a lower {advice}"):
        train(make_net(), images, objective=objective, precision=precision)
    assert len(calls) == 6  # noticed when the epoch ends


def test_weights_that_become_nan_in_the_last_update_are_noticed(make_net, separable):
    def objective(logits, batch):
        return (0 * logits).abs().sqrt().sum()  # zero, with an infinite slope

    with pytest.raises(RunError, match="diverged"):
        train(make_net(), separable(20), objective=objective, steps=1)
