"""Names below the axes of a plot, side by side or, where they are too long for that, rotated."""

from collections.abc import Sequence
from math import cos, radians, sin

from matplotlib.axes import Axes

from infer.pictures.style import text_width

SIZE = 8
_DEGREES = 30
_GAP_INCHES = 0.1


def room_for(names: Sequence[str], inches: float) -> tuple[float, float]:
    """Inches that ``names`` need left of and, beyond one line, below axes of a width in ``inches``."""
    if not _are_rotated(names, inches):
        return 0, 0
    widths = [text_width(name, SIZE) for name in names]
    angle = radians(_DEGREES)
    left = max(width * cos(angle) - (i + 0.5) * inches / len(names) for i, width in enumerate(widths))
    return left + _GAP_INCHES, max(widths) * sin(angle)


def name_places(axes: Axes, names: Sequence[str], inches: float) -> None:
    """Write ``names`` at 0, 1, ... below axes of a width in ``inches``."""
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    if _are_rotated(names, inches):
        for label in axes.get_xticklabels():
            label.set(rotation=_DEGREES, ha="right", rotation_mode="anchor")


def _are_rotated(names: Sequence[str], inches: float) -> bool:
    return max(text_width(name, SIZE) for name in names) + _GAP_INCHES > inches / len(names)
