"""Words of a matplotlib figure, and the check that none is cut or covers another."""

from collections.abc import Iterator
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts_of(figure: Figure) -> list[Text]:
    """Every word that is drawn, after the layout."""
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    undrawn = {label for axes in figure.axes for label in _labels_out_of_view(axes)}
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in undrawn]


def words_of(figure: Figure) -> list[str]:
    """The same as strings; what a long text was wrapped to stands in one line."""
    return [text.get_text() for text in texts_of(figure)]


def assert_tidy(figure: Figure) -> None:
    """Every word lies in the figure, beside every other; boxes of slanted words may overlap."""
    boxes = {text: text.get_window_extent() for text in texts_of(figure)}
    for text, box in boxes.items():
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
    upright = {text: box for text, box in boxes.items() if not text.get_rotation() % 90}
    for (one, first), (other, second) in combinations(upright.items(), 2):
        assert not first.overlaps(second), (one, other)


def ticks_in_view(axes: Axes) -> Iterator[Tick]:
    """The major ticks of both axes that lie within their limits."""
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = sorted(limits)
        yield from (tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def _labels_out_of_view(axes: Axes) -> Iterator[Text]:
    shown = {tick for tick in ticks_in_view(axes)} if axes.axison else set()
    for axis in (axes.xaxis, axes.yaxis):
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if tick not in shown:
                yield from (tick.label1, tick.label2)
        if not axes.axison:
            yield axis.label
