"""Base of the settings of a distillation method; the methods themselves are declared in ``infer/methods``."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class MethodConfig:
    """Settings that every method has, and what its teachers must be able to do."""

    name: str = MISSING

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        """Architectures of ``ensemble`` whose batch-norm statistics are matched: they must have BatchNorm layers."""
        return []

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        """Architectures of ``ensemble`` whose features are compared: they must end in a linear layer."""
        return []
