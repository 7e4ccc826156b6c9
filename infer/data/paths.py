"""Paths that a user types."""

from pathlib import Path

from infer.errors import UsageError
from infer.words import expanded, visible


def expand(path: str) -> Path:
    """``path`` made absolute, with ``$VARIABLES`` and ``~`` replaced. Raises UsageError as ``possible`` does."""
    return possible(Path(expanded(path))).absolute()


def possible(path: Path) -> Path:
    """``path``, unchanged. Raises UsageError where the system refuses it, for example because it is too long."""
    try:
        path.exists()
    except OSError as error:
        raise UsageError(f"{visible(str(path)[:60])}... is not a path ({error.strerror}). Give another") from error
    return path
