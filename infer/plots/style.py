"""Style of all pictures: fonts, colours, sizes and saving. Importing this module does not import matplotlib."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infer.files import replaced_whole
from infer.records.names import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Text

PAD = 0.1
"""Inches around everything that the layout engine places."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures look the same on all machines
    "font.size": 9,
    "text.usetex": False,
    "text.parse_math": False,  # a dollar sign in a name that the user chose must not start a formula
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
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
    "legend.borderaxespad": 0.8,
    "legend.borderpad": 0,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": PAD,
    "figure.constrained_layout.h_pad": PAD,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "svg.hashsalt": "infer",  # the same figure gives the same bytes
}

MARKERS = "os^DvPX"
"""Shapes of points, one per colour of `PALETTE`."""
# Okabe and Ito's colours, which all kinds of colour vision can distinguish; their yellow is too pale for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WARNING_COLOUR, NOTE_COLOUR = "#D55E00", "#555555"

TICK_STEPS = (1, 2, 2.5, 5, 10)
"""Steps between two ticks, times a power of ten."""
POINTS_PER_INCH = 72
_MOST_PASSES, _TOLERANCE = 4, 0.01


@contextmanager
def drawing() -> Iterator[None]:
    """Context in which figures have this style and matplotlib does not report fonts.

    Warnings about letters that the font does not have are suppressed, since names may be in any script; so is the
    message about building the font cache, which matplotlib logs when it is first imported on a machine.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        import matplotlib  # takes a second

        style: Any = STYLE  # matplotlib's type lists all keys literally
        with matplotlib.rc_context(style):
            yield


def write_title(figure: "Figure | SubFigure", text: str, **look: Any) -> None:
    """Put ``text`` at the upper left of a figure or subfigure, wrapped into lines."""
    _flush_left(figure, figure.suptitle(text, x=0, ha="left", wrap=True, **{"weight": "bold"} | look))


def write_caption(figure: "Figure | SubFigure", text: str, size: float) -> None:
    """Put ``text`` at the lower left of a figure or subfigure, wrapped into lines."""
    _flush_left(figure, figure.supxlabel(text, x=0, ha="left", wrap=True, size=size, color=NOTE_COLOUR))


def _flush_left(figure: "Figure | SubFigure", text: "Text") -> None:
    """Place ``text`` at the usual distance from the left edge, whatever the width of the figure becomes."""
    from matplotlib.transforms import ScaledTranslation

    text.set_transform(figure.transSubfigure + ScaledTranslation(PAD, 0, figure.dpi_scale_trans))


def give_axes_size(figure: "Figure", axes: "Axes", width: float, height: float, least_width: float = 0) -> None:
    """Resize ``figure`` so that ``axes``, and all axes in the same grid, are ``width`` x ``height`` inches.

    A figure narrower than ``least_width`` inches is widened to it, and its axes are widened with it.
    """
    spec = axes.get_subplotspec()
    rows, columns = spec.get_gridspec().get_geometry() if spec else (1, 1)
    for _ in range(_MOST_PASSES):  # the height of wrapped text depends on the width
        figure.draw_without_rendering()
        box = axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        total_width, total_height = figure.get_size_inches()
        wanted = (
            max(total_width + columns * (width - box.width), least_width),
            total_height + rows * (height - box.height),
        )
        if max(abs(wanted[0] - total_width), abs(wanted[1] - total_height)) < _TOLERANCE:
            return
        figure.set_size_inches(*wanted)


def rotate_if_crowded(labels: "Sequence[Text]", room: float, **turned: Any) -> bool:
    """Give ``labels`` the properties ``turned`` if one of them is wider than ``room`` inches.

    Returns True if they were given.
    """
    crowded = any(label.get_window_extent().width > room * label.figure.dpi for label in labels)
    if crowded:
        for label in labels:
            label.set(**turned)
    return crowded


def save_in_all_forms(figure: "Figure", folder: Path, name: str, vectors: str | None = FIGURES) -> list[Path]:
    """Write ``<name>.png`` into ``folder`` and, unless ``vectors`` is None, SVG and PDF into that subfolder.

    Returns the files.
    """
    files = [folder / f"{name}.png"]
    files += [folder / vectors / f"{name}.{form}" for form in ("svg", "pdf")] if vectors is not None else []
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is done; otherwise it would be repeated for every format
    for file in files:
        save(figure, file)
    return files


def save(figure: "Figure", path: Path) -> None:
    """Write ``figure`` in the format of the extension of ``path``: png, svg or pdf.

    The same figure always gives the same bytes.
    """
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with replaced_whole(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=figure.dpi, metadata=metadata)
