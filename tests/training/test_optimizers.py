"""Parameters that decay, and batches that go through the network in parts."""

import pytest
import torch

from infer.config.training import Optimizer, Training
from infer.training.batches import Batch, BatchSource
from infer.training.draws import Draws
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.optimizers import build_optimizer
from infer.training.plan import Plan


def decay_by_name(net, **settings) -> dict[str, float]:
    optimizer = build_optimizer(net, Training(epochs=1, weight_decay=0.01, **settings))
    decay = {p: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    return {name: decay[parameter] for name, parameter in net.named_parameters()}


@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_biases_and_norms_can_be_left_out_of_the_decay(make_net, optimizer):
    net = make_net()
    assert set(decay_by_name(net, optimizer=optimizer).values()) == {0.01}
    kept = {name for name, decay in decay_by_name(net, optimizer=optimizer, decay_norm_and_bias=False).items() if decay}
    assert kept == {"conv.weight", "depthwise.weight", "fc.weight"}


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_takes_nesterov_s_form_where_asked(make_net, nesterov):
    settings = Training(epochs=1, optimizer=Optimizer.sgd, nesterov=nesterov)
    assert build_optimizer(make_net(), settings).defaults["nesterov"] is nesterov


def batch_of(count: int) -> Batch:
    return Batch(torch.arange(count), torch.arange(count), torch.arange(count).flip(0), 0.3, epoch=2, first=40)


@pytest.mark.parametrize(
    "count, size, sizes", [(8, 8, [8]), (8, 4, [4, 4]), (7, 4, [4, 3]), (9, 4, [4, 5]), (5, 4, [5]), (3, 1, [1, 1, 1])]
)
def test_parts_follow_one_another_and_none_is_a_single_image(count, size, sizes):
    parts = list(batch_of(count).parts(size))
    assert [len(part.index) for part in parts] == sizes
    assert [part.first for part in parts] == [40 + sum(sizes[:n]) for n in range(len(sizes))]
    for name in ("images", "index", "partner"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch_of(count), name))
    assert {(part.weight, part.epoch) for part in parts} == {(0.3, 2)}


def test_accumulated_gradients_are_those_of_a_plain_loop(make_net, separable):
    """20 images in batches of 8 in two parts each: the last batch has one part, and its loss is halved all the same."""
    images, net, other = separable(20), make_net(), make_net()
    net.dropout.p = other.dropout.p = 0.0
    settings = Training(epochs=2, batch_size=8, accumulate=2, lr=0.1, weight_decay=0, optimizer=Optimizer.sgd)
    plan, objective = Plan(settings, 20), hard_label_objective(images.targets)
    fit(net, images, objective, plan, stream=(0, "parts"))
    source = BatchSource(images, plan, Draws((0, "parts")))
    optimizer = torch.optim.SGD(other.parameters(), 0.1, momentum=0.9)
    for epoch in range(2):
        optimizer.param_groups[0]["lr"] = plan.lr_at(3 * epoch)
        for batch in source.epoch(epoch):
            optimizer.zero_grad()
            for rows in torch.arange(len(batch.index)).split(4):
                part = Batch(batch.images[rows], batch.index[rows], None, 1.0)
                (objective(other(part.images.contiguous()), part) / 2).backward()
            optimizer.step()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_parts_of_the_whole_change_nothing_without_batch_norm(make_net, separable):
    images, nets = separable(16), [make_net(), make_net()]
    for net, parts in zip(nets, (1, 2), strict=True):
        net.norm, net.dropout.p = torch.nn.Identity(), 0.0
        settings = Training(epochs=2, batch_size=8, accumulate=parts, lr=0.01, optimizer=Optimizer.sgd)
        fit(net, images, hard_label_objective(images.targets), Plan(settings, 16), stream=(0, "parts"))
    for name, value in nets[0].state_dict().items():
        torch.testing.assert_close(value, nets[1].state_dict()[name], rtol=1e-4, atol=1e-6)
