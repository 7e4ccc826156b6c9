"""Numbers of analyses as JSON holds them."""

import math
from typing import Any

from torch import Tensor

_DIGITS = 7
"""Significant digits that are kept: as many as a float32 has."""


def plain(values: Tensor) -> Any:
    """``values`` as a number or nested lists of numbers; None for those that are not finite."""
    return _rounded(values.detach().cpu().double().tolist())


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
