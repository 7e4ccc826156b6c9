"""Paths typed by a person."""

import os
from pathlib import Path


def expand(path: str) -> Path:
    """``path`` made absolute, with ``$VARIABLES`` and ``~`` replaced."""
    return Path(os.path.expandvars(path)).expanduser().absolute()
