"""Base class of the settings of distillation methods, which are declared in ``infer/methods``."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class MethodConfig:
    """Settings that every method has, and its requirements on the teachers."""

    name: str = MISSING
    """Name of the method, in records and in the names of runs."""

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        """Architectures of ``ensemble`` whose batch-norm statistics are matched, so they must have BatchNorm layers."""
        return []

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        """Architectures of ``ensemble`` whose features are compared, so they must end in a linear layer."""
        return []
