"""The style of pictures, without which figures have no layout engine."""

from collections.abc import Iterator

import pytest

from infer.plots.style import drawing


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with drawing():
        yield
