"""Sizes and durations as a person reads them."""

import pytest

from infer.console import duration, size


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (59.6, "60 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("num_bytes", "told"), [(812, "812 B"), (26152, "26.2 kB"), (153_700_000, "153.7 MB"), (5e12, "5000.0 GB")]
)
def test_sizes(num_bytes, told):
    assert size(num_bytes) == told
