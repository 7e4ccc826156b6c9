"""Consecutive ranges, into which work is divided."""


def consecutive(count: int, size: int) -> list[range]:
    """``range(count)`` divided into consecutive ranges of ``size``; the last one may be shorter."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
