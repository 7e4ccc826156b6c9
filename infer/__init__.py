"""INFER: dataset distillation from one command, measured honestly.

``infer.load(path)`` opens a distilled set as a ``torch.utils.data.Dataset``.
"""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name == "load":  # imported on use: the command line must start without torch
        from infer.distilled.folder import load

        return load
    raise AttributeError(f"module 'infer' has no attribute {name!r}")
