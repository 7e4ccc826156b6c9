"""Types, defaults, help and range checks of every setting; importing this needs neither torch nor the data."""

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
