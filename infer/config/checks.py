"""Range checks shared by the configuration dataclasses; each failure is one line that names the key and the range."""

from collections.abc import Sequence

from infer.errors import UsageError
from infer.words import fault_of_name, visible

_MOST_UPDATES = 10_000_000
"""Largest number of updates, epochs or iterations. It is far above any published length, and keeps a mistyped number
from a plan that would itself take minutes to compute."""
_MOST_PIXELS = 4096
"""Largest edge of an image in pixels. Such an image takes 50 MB, so ten thousand of them do not fit in memory."""


def require(condition: bool, key: str, given: object, allowed: str) -> None:
    """Raise UsageError naming ``key``, the value given and what is allowed, unless ``condition`` holds."""
    if not condition:
        raise impossible(key, given, allowed)


def impossible(key: str, given: object, allowed: str) -> UsageError:
    """The error for a value ``given`` to ``key``; its message says what is ``allowed``."""
    return UsageError(f"{key}={_typed(given)} is not possible: {allowed}")


def require_at_least(minimum: float, key: str, given: float | None) -> None:
    """Require a number of at least ``minimum``; None (not set) passes."""
    require(given is None or given >= minimum, key, given, f"it must be at least {minimum}")


def require_at_most(maximum: int, key: str, given: float | None) -> None:
    """Require a number of at most ``maximum``; None (not set) passes."""
    require(given is None or given <= maximum, key, given, f"it may be at most {maximum:,}")


def require_count(key: str, given: int | None) -> None:
    """Require a possible number of updates, epochs or iterations; None (not set) passes."""
    require_at_least(1, key, given)
    require_at_most(_MOST_UPDATES, key, given)


def require_pixels(key: str, given: int | None) -> None:
    """Require a possible edge of an image in pixels; None (not set) passes."""
    require_at_least(1, key, given)
    require_at_most(_MOST_PIXELS, key, given)


def require_positive(key: str, given: float | None) -> None:
    """Require a number above zero; None (not set) passes."""
    require(given is None or given > 0, key, given, "it must be above 0")


def require_fraction(key: str, given: float | None) -> None:
    """Require a number in [0, 1); None (not set) passes."""
    require(given is None or 0 <= given < 1, key, given, "it must lie in [0, 1)")


def require_name(key: str, given: str) -> None:
    """Require a name that can be part of a file name, since a run's folder and its artefacts are named after it."""
    fault = fault_of_name(given)
    require(fault is None, key, visible(given), f"folders are named after it, and {fault}")


def require_distinct(key: str, given: Sequence[object]) -> None:
    """Require that no item of ``given`` is repeated."""
    doubled = sorted({str(getattr(item, "value", item)) for item in given if given.count(item) > 1})
    require(not doubled, key, f"[...,{','.join(doubled)},...]", "name each only once")


def _typed(value: object) -> str:
    """``value`` as it would be typed on the command line."""
    return "null" if value is None else str(value)
