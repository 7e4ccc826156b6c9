"""Progressive resizing: a training that begins on smaller images, whose updates are cheaper, and ends on whole ones."""

from dataclasses import dataclass

_MULTIPLE = 4
"""Sizes in between are multiples of it, as networks halve images."""


@dataclass(frozen=True)
class Growth:
    """Sizes of the images of a training, epoch by epoch.

    They stay at ``start_size`` over the share ``starts`` of the epochs, then grow evenly, and have their own size from
    the share ``ends`` on, in the last epoch always. Source: MosaicML's Composer, ``ProgressiveResizing``, after
    Howard 2018 (fast.ai).
    """

    start_size: int
    """Height and width in pixels."""
    starts: float
    ends: float

    def size_in(self, epoch: int, epochs: int, size: int) -> int:
        """Height and width in ``epoch`` of ``epochs`` of images of ``size`` x ``size`` pixels."""
        passed = epoch / epochs
        if passed >= self.ends or epoch + 1 == epochs:
            return size
        share = max(0.0, passed - self.starts) / (self.ends - self.starts)
        grown = self.start_size + share * (size - self.start_size)
        return max(self.start_size, int(grown) // _MULTIPLE * _MULTIPLE)
