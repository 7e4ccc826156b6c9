"""Tensors that training changes: weights, their average and the moments of the optimiser."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infer.config.training import Training
from infer.ranks import ranks
from infer.training.average import WeightAverage
from infer.training.checkpoint import under
from infer.training.optimizers import build_optimizer


@dataclass(frozen=True, eq=False)
class TrainingState:
    """A model in training, whose state can be read and restored as named tensors."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None

    @classmethod
    def start(cls, model: nn.Module, settings: Training) -> "TrainingState":
        """The state before the first update."""
        average = None if settings.ema_decay is None else WeightAverage(model, settings.ema_decay)
        return cls(model, build_optimizer(model, settings), average)

    @property
    def tested(self) -> nn.Module:
        """The network to test and keep: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    def update(self, losses: Iterable[Tensor], *added_up: Tensor) -> None:
        """One update of the weights along the gradient of the sum of ``losses``, see ``differentiate``."""
        self.differentiate(losses, *added_up)
        self.step()

    def differentiate(self, losses: Iterable[Tensor], *added_up: Tensor) -> None:
        """Compute the gradient of the sum of ``losses``, which are evaluated one after another.

        With several ranks the gradient is summed over all of them, in one exchange that also sums ``added_up``.
        """
        self.optimizer.zero_grad()
        for loss in losses:
            loss.backward()
        if ranks.count > 1:
            gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
            ranks.add_up(*gradients, *added_up)

    def step(self) -> None:
        """Update the weights along the gradient, and then their average."""
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    def finish(self) -> None:
        """Put the weights that were tested into ``model``, in eval mode and without gradients."""
        if self.average is not None:
            self.average.copy_to_model()
        self.model.eval().zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, not copied: ``model.*``, ``average.*`` and ``optimizer.<parameter>.*``."""
        named = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            named |= {f"average.{name}": value for name, value in self.average.module.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer.{number}.{name}": value for name, value in moments.items() if torch.is_tensor(value)}
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the result of `tensors` for the same model and settings."""
        self.model.load_state_dict(under("model.", tensors))
        if self.average is not None:
            self.average.module.load_state_dict(under("average.", tensors))
        self._load_moments(under("optimizer.", tensors))

    def _load_moments(self, tensors: dict[str, Tensor]) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, moment = name.partition(".")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # Fused kernels read parameter and moment in memory order, so both need the same layout.
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            state.setdefault(int(number), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
