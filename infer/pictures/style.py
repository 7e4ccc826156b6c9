"""The look that all pictures share: type, colours, and the widths of words."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from infer.files import replaced_whole

_FAMILY = "DejaVu Sans"  # comes with matplotlib, so that a picture looks the same everywhere
POINTS_PER_INCH = 72

STYLE = {
    "font.family": _FAMILY,
    "font.size": 9,
    "text.usetex": False,
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "axes.labelsize": 9,
    "axes.edgecolor": "#777777",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.color": "#777777",
    "ytick.color": "#777777",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
}

# Okabe and Ito's colours, told apart by every kind of colour vision; their yellow is too pale for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

TICK_STEPS = (1, 2, 2.5, 5, 10)
"""What two ticks may differ by, times a power of ten."""


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of the longest line of ``text`` in inches, ``size`` being in points."""
    font = FontProperties(family=_FAMILY, size=size, weight=weight)
    lines = (text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n"))
    return max(lines) / POINTS_PER_INCH


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` as PNG at its own resolution."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=figure.dpi)


def save_for_print(figure: Figure, path: Path) -> None:
    """Write ``figure`` as ``<path>.png`` and ``<path>.svg``; the same figure gives the same bytes."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "infer"}):
        for form, metadata in (("png", {}), ("svg", {"Date": None})):
            with replaced_whole(Path(f"{path}.{form}")) as file:
                figure.savefig(file, format=form, dpi=figure.dpi, metadata=metadata)
