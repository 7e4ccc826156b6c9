"""Reading of other programs' ``torch.save`` files without running any code in them.

Everything goes through ``torch.load(..., weights_only=True)``. Beyond tensors and plain containers two inert things are
read because published files are full of them: numpy's scalars (accuracies, the corners of a CutMix box) and the
``argparse.Namespace`` in which training scripts keep their options. numpy's own reconstruction is not called either:
the scalars come out as Python numbers.
"""

import argparse
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infer.errors import UsageError

_NUMBER = re.compile(r"[?bB]|[biufc]\d{1,2}")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_ADVICE = re.compile(r"weights_only|torch\.load|safe_globals|trust", re.IGNORECASE)


class _NumberType:
    """Replacement of ``numpy.dtype`` while a scalar is read: the name of a number's type and its byte order."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not _NUMBER.fullmatch(name):
            raise TypeError(f"numpy.dtype({name!r}) is not a number's")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _number(kind: _NumberType, content: bytes) -> int | float | bool | complex:
    """Replacement of numpy's ``scalar``."""
    if not isinstance(kind, _NumberType):
        raise TypeError(f"a numpy scalar of {type(kind).__name__}")
    value: int | float | bool | complex = np.frombuffer(content, kind.dtype).item()
    return value


_INERT: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    (_number, "numpy._core.multiarray.scalar"),  # as numpy 2 writes it
    (_number, "numpy.core.multiarray.scalar"),  # as numpy 1 did
    (_NumberType, "numpy.dtype"),
]


def load_foreign(path: Path) -> Any:
    """The content of a ``torch.save`` file, on the CPU; numpy scalars as Python numbers.

    Raises UsageError, one line, when there is no such file, when it is damaged or of another kind, and when it asks for
    code: a whole network, for example, which only the program that made it can open.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file. Give the path of a file that torch.save wrote")
    try:
        with torch.serialization.safe_globals(_INERT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickle protocols: what cannot be read fails
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles fail in many ways
        raise UsageError(_refusal(path, str(error))) from None  # its advice is to run what the file names


def require_plain(value: Any, what: str, source: object) -> torch.Tensor:
    """``value`` without its gradient; ``what`` begins a message about it, e.g. "its images are".

    Raises UsageError unless it is a tensor of numbers in memory: not sparse, nested, quantised, or of a type that needs
    a scale beside it (8-bit floats), and not complex.
    """
    if not isinstance(value, torch.Tensor):
        raise UsageError(f"{source}: {what} a {type(value).__name__}, not a tensor")
    is_plain = (
        value.layout is torch.strided
        and not (value.is_nested or value.is_quantized or value.is_meta or value.is_complex())
        and (not value.is_floating_point() or value.dtype in _FLOATS)
    )
    if not is_plain:
        kind = "nested" if value.is_nested else f"{value.layout}, {value.dtype}".replace("torch.", "")
        where = " without values" if value.is_meta else ""
        raise UsageError(f"{source}: {what} a tensor{where} of a kind that is not read ({kind}). Save it as float32")
    return value.detach()


def _refusal(path: Path, reason: str) -> str:
    if wanted := re.search(r"GLOBAL ([\w.]+)", reason):
        return (
            f"{path} holds more than tensors: it asks for {wanted[1]}, and what a file names is not run here "
            "(weights_only=True). Where you trust it, open it yourself and save nothing but its tensors again"
        )
    detail = re.search(r"error: (.+)", reason) or re.search(r"(.+)", reason)
    told = detail[1] if detail else "it is empty"
    if _ADVICE.search(told):  # torch's, to run what the file names
        told = "it is not one of plain tensors"
    return f"{path} cannot be read as a file of torch.save ({told}): it is damaged or another kind of file"
