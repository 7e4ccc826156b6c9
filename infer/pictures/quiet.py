"""Drawing without words about fonts; importing this does not import matplotlib."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """While matplotlib is imported and draws: names of any script are fine, letters that its font lacks become boxes.

    Its first import on a machine would tell of a font cache; that is not said later either.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield
