"""Consecutive parts of a count, the units in which work is made, shared and resumed."""

Span = tuple[int, int]
"""First and one past the last."""


def spans(count: int, size: int) -> list[Span]:
    """``count`` things in consecutive parts of ``size``; the last may be smaller."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]
