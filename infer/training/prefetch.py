"""Iteration over results that another thread computes ahead of their use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2


def prefetched(make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of ``make`` for every item, in order; another thread makes the next two while the caller uses one.

    An exception in ``make`` is raised in place of the result.
    """
    left = iter(items)
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Result]] = deque(thread.submit(make, item) for item in islice(left, _AHEAD))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(thread.submit(make, item) for item in islice(left, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
