"""Work that does not fit into the device's memory is done in smaller parts, with the same numbers, and that is said."""

import logging

import pytest
import torch
from torch import nn

from infer.config.training import Training
from infer.methods.registry import distilled_set
from infer.methods.sets import compensators
from infer.training.loop import fit
from infer.training.memory import AsManyAsFit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.training.scoring import predict_logits


class Small(nn.Module):
    """A network in a memory that holds so many images."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most, self.failures = network, most, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(images)


@pytest.fixture
def without_batch_norm(make_net):
    net = make_net()
    net.norm, net.dropout.p = nn.GroupNorm(2, 8), 0.0
    return net


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_it_halves_until_it_fits_and_remembers(caplog):
    tried = []

    def attempt(at_once: int) -> int:
        tried.append(at_once)
        if at_once > 3:
            raise torch.OutOfMemoryError
        return at_once

    things = AsManyAsFit(11, "things")
    assert things.run(attempt) == 3 and things.run(attempt) == 3 and tried == [11, 6, 3, 3]
    assert lines(caplog)[-1] == "not enough memory for 6 things together: 3 from here on"
    with pytest.raises(torch.OutOfMemoryError):
        AsManyAsFit(2, "things").run(lambda at_once: Small(nn.Identity(), 0)(torch.zeros(at_once)))


def test_logits_are_those_of_whole_batches(make_net, separable, caplog):
    images, net = separable(50), make_net()
    small = Small(net, 6)
    torch.testing.assert_close(predict_logits(small, images), predict_logits(net, images))
    assert small.failures == 4 and len(lines(caplog)) == 4, "50, 25, 13 and 7 images do not fit, ever after 4 do"


def trained(net: nn.Module, images, **settings) -> tuple[nn.Module, list[dict[str, float]]]:
    plan = Plan(Training(epochs=3, batch_size=16, lr=0.01, test_every=3, **settings), len(images), mix_alpha=0.8)
    result = fit(net, images, hard_label_objective(images.targets), plan, stream=(0, "student", "tiny", 1))
    return net, result.history


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_is_that_of_whole_batches(without_batch_norm, separable, caplog, accumulate):
    """Also where the settings divide batches already, and the last one is not as large."""
    images, other = separable(42), Small(without_batch_norm, 3)
    whole = trained(Small(_copy(without_batch_norm), 100), images, accumulate=accumulate)
    parts = trained(other, images, accumulate=accumulate)
    assert other.failures == 3 - accumulate + 1 and len(lines(caplog)) == other.failures
    for name, value in parts[0].state_dict().items():
        torch.testing.assert_close(value, whole[0].state_dict()[name], rtol=1e-4, atol=1e-6)
    losses = [[row["train_loss"] for row in history] for _, history in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def _copy(net: nn.Module) -> nn.Module:
    copied = type(net)(3)
    copied.norm, copied.dropout.p = nn.GroupNorm(2, 8), 0.0
    copied.load_state_dict(net.state_dict())
    return copied


def test_batch_norm_keeps_its_batches(make_net, separable):
    with pytest.raises(torch.OutOfMemoryError):
        trained(Small(make_net(), 8), separable(42))


def test_compensators_are_those_of_all_classes_at_once(make_context, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    words = ("method.precision=fp64", "method.compensator_dtype=float32", "seed=5")
    _, whole = distilled_set(make_context(*words, "K=1", "M=1")).parts()
    optimise, tried = compensators.optimise, []

    def in_a_small_memory(teacher, problem, *rest, **more):
        tried.append(problem.class_chunk)
        if problem.class_chunk is None or problem.class_chunk > 3:
            raise torch.OutOfMemoryError
        return optimise(teacher, problem, *rest, **more)

    images = distilled_set(make_context(*words, "K=1", "M=1"))
    for artefact in (images, *images.parents.values()):
        images.context.store.set_aside(artefact, but_not_of="another order")
    monkeypatch.setattr(compensators, "optimise", in_a_small_memory)
    _, parts = distilled_set(make_context(*words, "K=1", "M=1")).parts()
    assert tried[:3] == [None, 5, 3] and "not enough memory for 10 classes of a subset together" in lines(caplog)[0]
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_statistics_of_chunks_of_their_own_are_kept(make_context, monkeypatch):
    def fails(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(compensators, "optimise", fails)
    words = ("method.class_chunk=5", "method.chunk_statistics=each", "seed=6", "K=1", "M=1")
    with pytest.raises(torch.OutOfMemoryError):
        distilled_set(make_context(*words)).parts()
