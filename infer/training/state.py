"""The tensors that training changes: weights, their average and the optimiser's moments."""

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
    """A model in training, which can be taken apart into named tensors and put together again."""

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
        """The network to test and keep: the average where there is one."""
        return self.model if self.average is None else self.average.module

    def update(self, losses: Iterable[Tensor], *added_up: Tensor) -> None:
        """One update of the weights along the gradient of the sum of ``losses``, see ``differentiate``."""
        self.differentiate(losses, *added_up)
        self.step()

    def differentiate(self, losses: Iterable[Tensor], *added_up: Tensor) -> None:
        """Set the gradient to that of the sum of ``losses``, each computed when its turn comes.

        With several ranks it is the sum over all of them, in one exchange that also adds up the tensors ``added_up``.
        """
        self.optimizer.zero_grad()
        for loss in losses:
            loss.backward()
        if ranks.count > 1:
            gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
            ranks.add_up(*gradients, *added_up)

    def step(self) -> None:
        """One update of the weights, and of their average, along the gradient."""
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    def finish(self) -> None:
        """Leave in ``model`` the weights that were tested, in eval mode and without gradients."""
        if self.average is not None:
            self.average.copy_to_model()
        self.model.eval().zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name (not copied): ``model.*``, ``average.*`` and ``optimizer.<parameter>.*``."""
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
                # Fused kernels walk parameter and moment in memory order, so both need the same layout.
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            state.setdefault(int(number), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
