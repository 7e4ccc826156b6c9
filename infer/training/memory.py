"""Work in parts that fit into the device's memory; where they do not, their size is halved, with a message."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class AsManyAsFit:
    """Number of items that are processed together, halved permanently whenever the device runs out of memory."""

    def __init__(self, at_once: int, what: str) -> None:
        """``what`` names the items in the message about it, for example ``images of a batch``."""
        self.at_once = at_once
        self._what = what

    def run(self, attempt: Callable[[int], Result]) -> Result:
        """The result of ``attempt``, which is called with the number of items to process together.

        Where memory does not suffice it is called again with half the number. Raises torch.OutOfMemoryError where a
        single item does not fit.
        """
        while True:
            try:
                return attempt(self.at_once)
            except torch.OutOfMemoryError:
                if self.at_once == 1:
                    raise
            self._halve()  # outside of the handler, whose traceback keeps the tensors of the attempt alive
            torch.cuda.empty_cache()

    def _halve(self) -> None:
        before, self.at_once = self.at_once, (self.at_once + 1) // 2
        log.warning("not enough memory for %d %s together: %d from here on", before, self._what, self.at_once)
