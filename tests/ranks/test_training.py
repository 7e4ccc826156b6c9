"""Trainings by several ranks: the losses and weights of one process, also where nothing divides evenly."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.ranks import on_ranks
from torch import Tensor, nn

from infer.config.training import BatchNorm, Optimizer, Training
from infer.normalisation import Normalisation
from infer.ranks import ranks
from infer.training.batches import Batch
from infer.training.growth import Growth
from infer.training.images import LabelledImages
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan

_IMAGES, _CLASSES = 27, 3
_SETTINGS: dict[str, Any] = {"steps": 20, "batch_size": 10, "lr": 0.02, "test_every": 10}
_VARIANTS: dict[str, dict[str, Any]] = {
    "mixup": {"mix_alpha": 0.8},
    "cutmix, average, resized crops": {"mix_alpha": 0.8, "cutmix": True, "ema_decay": 0.9, "crop": "resized"},
    "parts": {"mix_alpha": 0.8, "accumulate": 5, "optimizer": Optimizer.sgd},
    "growing images": {"mix_alpha": 0.8, "growth": Growth(4, 0.2, 0.6)},
}
_SEVERAL = [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]


class Doubles(nn.Module):
    """Convolution, batch norm and both kinds of random masks, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.channels, self.fc = nn.Dropout2d(0.2), nn.Linear(8, _CLASSES)
        self.last = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.2)
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        features = self.channels(self.norm(self.conv(images.double()))).relu()
        kept = torch.empty(len(images), 1, 1, 1, dtype=torch.float64).bernoulli_(0.9) if self.training else 1.0
        features = (features * kept).mean(dim=(2, 3))
        return self.fc(self.dropout(self.last(features)))


@dataclass
class Trained:
    """Outcome of a training."""

    losses: list[float]
    """Sum of the losses of this rank's images in every part of a batch, float64."""
    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    predicted: Tensor
    ended: bool = True


@dataclass
class Losses:
    """A loss that remembers the sum over this rank's images of every part of a batch."""

    loss: Any
    sums: list[float] = field(default_factory=list)

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        assert logits.dtype is torch.float64
        value: Tensor = self.loss(logits, batch)
        self.sums.append(value.item() * (len(batch.index) if batch.division is None else batch.division.own))
        return value


class Stopped(Exception):
    """Stands for whatever ends a run."""


def images_of(count: int, seed: int) -> LabelledImages:
    rng = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % _CLASSES
    pixels = torch.randint(0, 100, (count, 3, 8, 8), generator=rng, dtype=torch.uint8)
    pixels[torch.arange(count), targets] += 90
    return LabelledImages(pixels, Normalisation((0.45, 0.5, 0.55), (0.2, 0.25, 0.3)), targets)


def train(variant: dict[str, Any], folder: Path | None = None, stop_at: int | None = None) -> Trained:
    """A training as any rank runs it, with a checkpoint after every update if there is a ``folder``."""
    torch.manual_seed(0)
    net, images = Doubles(), images_of(_IMAGES, 0)
    of_plan = {key: variant[key] for key in ("mix_alpha", "cutmix", "growth") if key in variant}
    settings = Training(**_SETTINGS | {key: value for key, value in variant.items() if key not in of_plan})
    plan = Plan(settings, len(images), **of_plan)
    objective = Losses(hard_label_objective(images.targets))

    def on_images(shown: int) -> None:
        if shown == stop_at:
            raise Stopped

    ended = False
    with contextlib.suppress(Stopped):
        result = fit(
            net,
            images,
            objective,
            plan,
            stream=(0, "student", "tiny"),
            tests={"test": images_of(31, 1)},
            checkpoint_dir=folder,
            seconds_between_checkpoints=0.0,
            on_images=on_images,
        )
        ended = True
    if not ended:
        return Trained(objective.sums, net.state_dict(), [], torch.empty(0), ended=False)
    return Trained(objective.sums, net.state_dict(), result.history, result.tests["test"].predicted)


def summed(of_ranks: list[Trained]) -> Tensor:
    """Losses of every part over all ranks."""
    return torch.tensor([each.losses for each in of_ranks], dtype=torch.float64).sum(dim=0)


def assert_same(of_ranks: list[Trained], alone: Trained) -> None:
    for each in of_ranks:
        for name, value in alone.weights.items():
            torch.testing.assert_close(each.weights[name], value, rtol=0, atol=1e-8, msg=lambda m, name=name: name + m)
        assert torch.equal(each.predicted, alone.predicted)
        assert [{**row, "train_loss": 0} for row in each.history] == [{**row, "train_loss": 0} for row in alone.history]
        for row, expected in zip(each.history, alone.history, strict=True):
            assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-6)


@pytest.mark.parametrize("count", _SEVERAL)
@pytest.mark.parametrize("variant", _VARIANTS)
def test_the_numbers_are_those_of_one_process(tmp_path, count, variant):
    alone, of_ranks = train(_VARIANTS[variant]), on_ranks(count, tmp_path, train, _VARIANTS[variant])
    assert len(alone.losses) >= 20
    assert (summed(of_ranks) - torch.tensor(alone.losses, dtype=torch.float64)).abs().max() < 1e-10
    assert_same(of_ranks, alone)


@pytest.mark.parametrize("variant", ["mixup", "growing images"])
def test_a_training_resumes_under_another_number_of_ranks(tmp_path, variant):
    """Alone, then by two ranks, then alone again, always in the middle of an epoch."""
    variant, folder = _VARIANTS[variant], tmp_path / "checkpoint"
    folder.mkdir()
    assert not train(variant, folder, stop_at=47).ended
    two = on_ranks(2, tmp_path, train, variant, folder, 91)
    assert [each.ended for each in two] == [False, False]
    resumed = train(variant, folder)
    assert len(resumed.losses) < 20
    assert_same([resumed], train(variant))


def test_statistics_of_each_rank_are_something_else(tmp_path):
    variant = _VARIANTS["mixup"] | {"batch_norm": BatchNorm.per_rank}
    first, second = on_ranks(2, tmp_path, train, variant)
    assert torch.equal(first.weights["conv.weight"], second.weights["conv.weight"])
    assert torch.equal(first.weights["norm.running_mean"], second.weights["norm.running_mean"])
    assert torch.equal(first.predicted, second.predicted)
    alone = train(_VARIANTS["mixup"])
    assert (first.weights["conv.weight"] - alone.weights["conv.weight"]).abs().max() > 1e-4
    assert torch.equal(train(variant).weights["conv.weight"], alone.weights["conv.weight"])


def test_the_statistics_of_each_rank_are_named_where_there_are_several(monkeypatch):
    recipe = Training(epochs=1, batch_norm=BatchNorm.per_rank).recipe()
    assert recipe == Training(epochs=1).recipe()
    monkeypatch.setattr(ranks, "world", 2)
    assert Training(epochs=1, batch_norm=BatchNorm.per_rank).recipe() == recipe | {"batch_norm": "per_rank of 2"}
    assert Training(epochs=1).recipe() == recipe
