"""Curves of an optimisation: values at up to a hundred iterations, recorded without synchronising the device."""

from collections.abc import Callable

import torch
from torch import Tensor

from infer.errors import RunError

CURVE_POINTS = 100


class Curves:
    """Recorder of the losses at some iterations of an optimisation, which it stops if they are not finite."""

    def __init__(
        self, iterations: int, remedy: str, teacher: str, measure: Callable[[Tensor], dict[str, Tensor]]
    ) -> None:
        """``measure`` returns further values [G] to record at x; ``remedy`` is the end of the message of an error."""
        self._iterations, self._remedy, self._teacher, self._measure = iterations, remedy, teacher, measure
        points = torch.linspace(0, iterations - 1, min(iterations, CURVE_POINTS))
        self._points = points.round().long()
        self._due = set(self._points.tolist())
        self._values: dict[str, list[Tensor]] = {}

    def record(self, iteration: int, x: Tensor, cross_entropy: Tensor, penalty: Tensor) -> None:
        """Record the values of ``iteration`` if it is one of the points. Raises RunError if they are not finite."""
        if iteration not in self._due:
            return
        values = {"cross_entropy": cross_entropy, "bn_penalty": penalty}
        for term, value in values.items():
            self.require_finite(term, value, f"iteration {iteration}")
        for key, value in (values | self._measure(x)).items():
            self._values.setdefault(key, []).append(value.float())

    def tensors(self) -> dict[str, Tensor]:
        """Values recorded so far by the name of their curve, for a checkpoint: float32 [points, G]."""
        return {key: torch.stack(values) for key, values in self._values.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the result of ``tensors``."""
        self._values = {key: list(values) for key, values in tensors.items()}

    def collected(self) -> dict[str, Tensor]:
        """Curves by name, on the CPU: ``iteration`` int64 [points], the others float32 [points, G]."""
        return {"iteration": self._points} | {key: values.cpu() for key, values in self.tensors().items()}

    def require_finite(self, term: str, values: Tensor, when: str) -> None:
        """Raise RunError if ``values`` of ``term`` are not finite."""
        if not values.isfinite().all():
            raise RunError(
                f"The {term} of teacher {self._teacher!r} is not finite at {when} of {self._iterations}: {self._remedy}"
            )
