"""Work in parts that fit into the device's memory: halved, and said, whenever they do not."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class AsManyAsFit:
    """The number of things that are done at once: halved whenever the device runs out of memory, for good."""

    def __init__(self, at_once: int, what: str) -> None:
        """``what`` names the things in the line that says so: ``images of a batch``."""
        self.at_once = at_once
        self._what = what

    def run(self, attempt: Callable[[int], Result]) -> Result:
        """The result of ``attempt``, which is given the number at once and called again with half of it as often as the
        memory does not suffice.

        Raises torch.OutOfMemoryError where one at a time is too much.
        """
        while True:
            try:
                return attempt(self.at_once)
            except torch.OutOfMemoryError:
                if self.at_once == 1:
                    raise
            self._halve()  # out of the handler, whose traceback holds the tensors of the attempt
            torch.cuda.empty_cache()

    def _halve(self) -> None:
        before, self.at_once = self.at_once, (self.at_once + 1) // 2
        log.warning("not enough memory for %d %s together: %d from here on", before, self._what, self.at_once)
