"""Consecutive ranges, in which work is divided, shared and resumed."""


def consecutive(count: int, size: int) -> list[range]:
    """``range(count)`` cut into consecutive ranges of ``size``; the last may be shorter."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
