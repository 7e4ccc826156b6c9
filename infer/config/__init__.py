"""Settings as dataclasses: types, defaults, documentation and range checks. No module here imports torch."""

from infer.config.registry import as_plain, register, resolve
from infer.config.root import AnalysisName, Baseline, BaselineBudget, Config, Precision, Stage

__all__ = [
    "AnalysisName",
    "Baseline",
    "BaselineBudget",
    "Config",
    "Precision",
    "Stage",
    "as_plain",
    "register",
    "resolve",
]
