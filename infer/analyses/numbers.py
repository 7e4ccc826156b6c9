"""Conversion of the numbers of analyses to JSON."""

import math
from typing import Any

from torch import Tensor

_DIGITS = 7
"""Number of significant digits that are kept, which is that of float32."""


def plain(values: Tensor) -> Any:
    """``values`` as a number or nested lists of numbers; a value that is not finite becomes None."""
    return _rounded(values.detach().cpu().double().tolist())


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
