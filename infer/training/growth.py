"""Progressive resizing: training starts on smaller images, whose updates are cheaper, and ends on full-size ones."""

from dataclasses import dataclass

_SIZE_MULTIPLE = 4
"""Intermediate sizes are multiples of this number, since networks halve images."""


@dataclass(frozen=True)
class Growth:
    """Size of a training's images in each epoch.

    It is ``start_size`` during the fraction ``starts`` of the epochs, then grows linearly, and is the images' own size
    from the fraction ``ends`` on and in the last epoch. Source: MosaicML's Composer, ``ProgressiveResizing``, after
    Howard 2018 (fast.ai).
    """

    start_size: int
    """Height and width in pixels."""
    starts: float
    ends: float

    def size_in(self, epoch: int, epochs: int, size: int) -> int:
        """Height and width of images in ``epoch`` of ``epochs``, where their own size is ``size`` x ``size`` pixels."""
        passed = epoch / epochs
        if passed >= self.ends or epoch + 1 == epochs:
            return size
        share = max(0.0, passed - self.starts) / (self.ends - self.starts)
        grown = self.start_size + share * (size - self.start_size)
        return max(self.start_size, int(grown) // _SIZE_MULTIPLE * _SIZE_MULTIPLE)
