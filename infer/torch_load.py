"""Reading of ``torch.save`` files from other programs, without running any code in them.

Files are read by ``torch.load(..., weights_only=True)``. In addition to tensors and plain containers, two harmless
types are allowed, since they are common in published files: NumPy's scalars (accuracies, corners of a CutMix box) and
``argparse.Namespace``, in which training scripts store their options. NumPy's own code for reading scalars is not
called; they become Python numbers.
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
    """Replacement for ``numpy.dtype`` while a scalar is read; it accepts types of numbers only, with a byte order."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not _NUMBER.fullmatch(name):
            raise TypeError(f"numpy.dtype({name!r}) is not a number's")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _number(kind: _NumberType, content: bytes) -> int | float | bool | complex:
    """Replacement for NumPy's ``scalar``."""
    if not isinstance(kind, _NumberType):
        raise TypeError(f"a numpy scalar of {type(kind).__name__}")
    value: int | float | bool | complex = np.frombuffer(content, kind.dtype).item()
    return value


_INERT: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    argparse.Namespace,
    (_number, "numpy._core.multiarray.scalar"),  # name in files of NumPy 2
    (_number, "numpy.core.multiarray.scalar"),  # name in files of NumPy 1
    (_NumberType, "numpy.dtype"),
]


def load_foreign(path: Path) -> Any:
    """The content of a ``torch.save`` file, with tensors on the CPU and NumPy scalars as Python numbers.

    Raises UsageError where the file does not exist, is damaged or of another kind, and where it requires code, like the
    file of a whole network, which only the program that wrote it can read.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file. Give the path of a file that torch.save wrote")
    try:
        with torch.serialization.safe_globals(_INERT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about old pickle protocols; a file that cannot be read fails
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles fail in many ways
        raise UsageError(_refusal(path, str(error))) from None  # torch's message advises to run the code in the file


def require_plain(value: Any, what: str, source: object) -> torch.Tensor:
    """``value``, detached from its gradient. ``what`` begins the messages about it, for example "its images are".

    Raises UsageError unless it is a dense tensor of real numbers in memory: not sparse, nested, quantised or complex,
    and not of a type that needs a scale in addition (8-bit floats).
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
        raise UsageError(f"{source}: {what} a tensor{where} of a kind that cannot be read ({kind}). Save it as float32")
    return value.detach()


def _refusal(path: Path, reason: str) -> str:
    if wanted := re.search(r"GLOBAL ([\w.]+)", reason):
        return (
            f"{path} holds more than tensors: it asks for {wanted[1]}, and what a file names is not run here "
            "(weights_only=True). If you trust it, open it yourself and save only its tensors"
        )
    detail = re.search(r"error: (.+)", reason) or re.search(r"(.+)", reason)
    told = detail[1] if detail else "it is empty"
    if _ADVICE.search(told):  # torch's advice to run the code in the file
        told = "it is not one of plain tensors"
    return f"{path} cannot be read as a file of torch.save ({told}): it is damaged or of another kind"
