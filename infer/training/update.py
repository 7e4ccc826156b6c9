"""Update of a network's weights by a batch, in as many parts as settings, memory and ranks require."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from infer.config.training import BatchNorm
from infer.environment import Precision
from infer.ranks import ranks
from infer.training.batches import Batch
from infer.training.execution import autocast
from infer.training.memory import AsManyAsFit
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.training.state import TrainingState


@dataclass(frozen=True, eq=False)
class Update:
    """The update of ``state`` by a batch."""

    state: TrainingState
    objective: Objective
    plan: Plan
    device: torch.device
    precision: Precision
    layout: torch.memory_format

    def __call__(self, batch: Batch, loss_sum: Tensor) -> None:
        """Update the weights by ``batch``; the sum of the losses of its images is added to ``loss_sum``."""
        if ranks.count > 1:
            added = torch.zeros_like(loss_sum)
            self.state.update(self._losses_of_rank(batch, added), added)
            loss_sum += added
        elif self._as_many_as_fit is None:
            self.state.update(self._losses(batch, loss_sum, self.plan.part_size))
        else:
            self._in_parts_that_fit(batch, loss_sum, self._as_many_as_fit)

    @cached_property
    def _as_many_as_fit(self) -> AsManyAsFit | None:
        """Number of images that pass the network together; None where results depend on it because of batch norm."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if any(isinstance(module, norms) for module in self.state.model.modules()):
            return None
        return AsManyAsFit(self.plan.part_size, "images of a batch")

    def _in_parts_that_fit(self, batch: Batch, loss_sum: Tensor, together: AsManyAsFit) -> None:
        """Update the weights with images passing the network in more parts than the settings say where memory does not
        suffice; the gradient is the same up to rounding."""
        before = loss_sum.clone()

        def attempt(at_once: int) -> None:
            loss_sum.copy_(before)
            self.state.differentiate(self._losses(batch, loss_sum, at_once))

        together.run(attempt)
        self.state.step()

    def _losses(self, batch: Batch, loss_sum: Tensor, at_once: int) -> Iterator[Tensor]:
        """Contributions to the loss, for at most ``at_once`` images at a time of each part of ``batch``.

        The sum of the losses of all images is added to ``loss_sum``.
        """
        for part in batch.parts(self.plan.part_size):
            for piece in part.parts(at_once):
                loss = self._mean_loss(piece)
                loss_sum += loss.detach() * len(piece.index)
                yield loss * (len(piece.index) / len(part.index)) / self.plan.settings.accumulate

    def _losses_of_rank(self, batch: Batch, loss_sum: Tensor) -> Iterator[Tensor]:
        """Contributions of this rank's images to the loss, weighted so that their sum over all ranks is the loss."""
        norms_together = self.plan.settings.batch_norm is BatchNorm.sync
        for part in batch.parts(self.plan.part_size):
            division = part.division
            assert division is not None, "batches of several ranks are divided"
            with division.as_one(norms_together):
                loss = self._mean_loss(part)
            loss_sum += loss.detach() * division.own
            yield loss * (division.share / self.plan.settings.accumulate)

    def _mean_loss(self, part: Batch) -> Tensor:
        with autocast(self.device, self.precision):
            logits = self.state.model(part.images.contiguous(memory_format=self.layout))
        return self.objective(_float32_or_more(logits), part)


def _float32_or_more(logits: Tensor) -> Tensor:
    """Logits in the precision in which losses are computed: float64 as they are, everything else as float32."""
    return logits if logits.dtype is torch.float64 else logits.float()
