"""Position that a training has reached, from which it can be resumed bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from infer.training.checkpoint import Checkpoint, State, under
from infer.training.state import TrainingState


@dataclass(eq=False)
class Place:
    """Position that a training has reached, between two updates."""

    loss_sum: Tensor
    """Sum of the losses of the images shown so far in this epoch."""
    epoch: int = 0
    steps: int = 0
    """Number of updates made so far in this epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    """Seconds that earlier, interrupted attempts took."""
    random: dict[str, Tensor] = field(default_factory=dict)
    """State of torch's random generators (dropout) within the epoch, by device type; empty at its beginning."""

    @classmethod
    def resumed(cls, state: TrainingState, checkpoint: Checkpoint | None, device: torch.device) -> "Place":
        """The position of the last checkpoint, whose tensors are loaded into ``state``; without one, the beginning."""
        stored = checkpoint.read() if checkpoint else None
        if stored is None:
            return cls(torch.zeros((), device=device))
        tensors, progress = stored
        state.load(tensors)
        return cls(tensors["loss_sum"].to(device), random=under("random.", tensors), **progress)

    def state(self, training: TrainingState, seconds: float) -> State:
        """Tensors and progress for a checkpoint."""
        tensors = {**training.tensors(), "loss_sum": self.loss_sum}
        if self.steps:  # at the beginning of an epoch the generators are seeded anew
            tensors["random.cpu"] = torch.get_rng_state()
            if self.loss_sum.device.type == "cuda":
                tensors["random.cuda"] = torch.cuda.get_rng_state(self.loss_sum.device)
        progress = {"epoch": self.epoch, "steps": self.steps, "history": self.history, "seconds": seconds}
        return tensors, progress

    def next_epoch(self, device: torch.device) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.steps, self.random = self.epoch + 1, 0, {}
        self.loss_sum = torch.zeros((), device=device)

    @contextmanager
    def random_numbers(self, seed: int, device: torch.device) -> Iterator[None]:
        """Within this context, torch's random generators (dropout) are those of the epoch, seeded by ``seed``.

        They continue from this position. Their previous state is restored afterwards.
        """
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            if "cpu" in self.random:
                torch.set_rng_state(self.random["cpu"])
            if "cuda" in self.random:
                torch.cuda.set_rng_state(self.random["cuda"], device)
            yield
