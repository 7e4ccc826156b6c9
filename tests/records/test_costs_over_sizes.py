"""Costs over sizes in words and in the table of a sweep: measured and estimated numbers are never mixed up."""

import csv
from pathlib import Path
from typing import Any

import pytest
from helpers.records import write_sweep

from infer.records.folders import sweep_jobs
from infer.records.scale import cost_lines, costs_in_words
from infer.reports.sweep import report_sweep

VARIANTS = ["classes_10", "classes_30", "classes_100", "pixels_16", "ipc_50"]
SIZES = [(10, 8, 10), (30, 8, 10), (100, 8, 10), (10, 16, 10), (10, 8, 50)]


def costs(classes: int, image_size: int, ipc: int, made: bool) -> dict[str, Any]:
    """A job whose time is proportional to its classes; it took half of what the model expects."""
    sizes = {"classes": classes, "image_size": image_size, "ipc": ipc, "train_per_class": 144}
    expected = {"seconds": 6.0 * classes, "peak_memory_bytes": 10**9 + 10**7 * classes, "source": "from 9 timed steps"}
    measured = {"seconds": 3.0 * classes, "peak_memory_bytes": 10**9}
    return {
        "metrics": {},
        "per_student": {},
        "storage": {"total_bytes": 1000 * classes * ipc},
        "costs": {"sizes": sizes, "expected": expected, "unmade": None if made else "it takes long"}
        | ({"measured": measured} if made else {}),
    }


@pytest.fixture
def folder(tmp_path) -> Path:
    """Jobs of which that with 100 classes and that with 16 pixels were not made."""
    changes = {n: costs(*sizes, made=n in (0, 1, 4)) for n, sizes in enumerate(SIZES)}
    return write_sweep(tmp_path / "sweeps" / "20260103-made-up", {"variant": VARIANTS}, changes=changes)


def test_lines_run_along_one_size_each(folder):
    lines = cost_lines(sweep_jobs(folder))
    along = [[point.sizes[line.axis] for point in line.points] for line in lines]
    assert dict(zip([line.axis for line in lines], along, strict=True)) == {
        "classes": [10, 30, 100],
        "image_size": [8, 16],
        "ipc": [10, 50],
    }
    assert lines[0].fixed == "8 px, ipc 10, 144 training images per class"


def test_estimates_are_called_so(folder):
    sentences = costs_in_words(sweep_jobs(folder)).split(". ")
    classes, far, pixels, ipc, *accuracy = sentences
    assert classes == (
        "10 → 30 classes (8 px, ipc 10, 144 training images per class), measured: 3.0 times the time, "
        "1.0 times the peak memory, 3.0 times the bytes"
    )
    assert far.startswith("10 → 100 classes (") and "), estimate: 10 times the time, 1.8 times the peak mem" in far
    assert pixels.startswith("8 → 16 px (") and "estimate: 1.0 times" in pixels
    assert ipc.startswith("ipc 10 → 50 (") and ", measured: " in ipc and ipc.endswith("5.0 times the bytes")
    assert accuracy[0] == "Over 3 measured jobs the time was 0.50 to 0.50 times what the cost model expected"


def test_the_table_says_which_are_measured(folder):
    table = report_sweep(folder)
    rows = [dict(zip(table.sections[0].columns, row, strict=True)) for row in table.sections[0].rows]
    told = [(row["time"], row["peak memory"], row["time and memory are"]) for row in rows]
    assert told[0] == ("30 s", "1.0 GB", "measured") and told[2] == ("10 min", "2.0 GB", "estimate")
    assert [row["scale.classes"] for row in rows] == ["10", "30", "100", "10", "10"]
    assert [row["scale.image_size"] for row in rows] == ["8", "8", "8", "16", "8"]
    page, on_paper = ((folder / name).read_text() for name in ("report.html", "table.md"))
    paragraph = next(line for line in table.closing if line.startswith("10 → 30"))
    assert paragraph in page and paragraph in on_paper and "![scale](scale.png)" in on_paper
    with (folder / "table.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["costs"] for row in written] == ["measured", "measured", "estimate", "estimate", "measured"]
    assert float(written[2]["seconds"]) == 600


def test_an_unknown_number_is_left_out(tmp_path):
    changes = {n: costs(*SIZES[n], made=True) for n in range(3)}
    changes[2]["costs"]["measured"] = {"seconds": None, "peak_memory_bytes": None}
    folder = write_sweep(tmp_path / "sweeps" / "x", {"variant": VARIANTS[:3]}, changes=changes)
    words = costs_in_words(sweep_jobs(folder))
    assert words.startswith("10 → 100 classes (8 px, ipc 10, 144 training images per class), measured: 10 times the by")
    assert report_sweep(folder).sections[0].rows[2][-3:-1] == ["-", "-"]


def test_other_sweeps_have_no_costs(tmp_path):
    folder = write_sweep(tmp_path / "sweeps" / "x", {"M": ["1", "2"]})
    assert costs_in_words(sweep_jobs(folder)) is None
    assert "time" not in report_sweep(folder).sections[0].columns
