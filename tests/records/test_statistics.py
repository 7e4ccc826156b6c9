"""Means with the spread that n-1 gives, and none for a single value."""

import numpy as np

from infer.records.statistics import summarise
from infer.tables import summary_as_text


def test_summary():
    values = [10.0, 12.5, 11.0]
    summary = summarise(values)
    assert np.isclose(summary["mean"], np.mean(values)) and np.isclose(summary["std"], np.std(values, ddof=1))
    assert summary["n"] == 3 and summary["values"] == values
    assert summary_as_text(summary) == "11.17 ± 1.26 (3)"


def test_one_value_has_no_spread():
    assert summarise([5.0]) == {"mean": 5.0, "std": None, "n": 1, "values": [5.0]}
    assert summary_as_text(summarise([5.0])) == "5.00 (1)"
