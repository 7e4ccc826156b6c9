"""A sweep's plots show what was swept, every measured point with its spread, and how far the numbers can be trusted."""

import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from helpers.figures import assert_tidy, words_of
from helpers.records import write_sweep
from matplotlib.figure import Figure

from infer.plots.style import STYLE
from infer.plots.sweep import draw, figures_of
from infer.records.folders import sweep_jobs
from infer.records.rows import Rows, side_by_side

FAILED = {"status": "failed", "error": "loss is NaN", "metrics": {}}


@pytest.fixture
def rows(tmp_path) -> Callable[..., Rows]:
    """Rows of the table of a made-up sweep."""
    return lambda *sweep, **more: side_by_side(
        sweep_jobs(write_sweep(tmp_path / "sweeps" / "20260103-made-up", *sweep, **more))
    )


@pytest.fixture
def plots(rows) -> Callable[..., dict[str, Figure]]:
    """The plots of a made-up sweep, by name."""

    def of(*sweep, **more) -> dict[str, Figure]:
        with matplotlib.rc_context(STYLE):
            return dict(figures_of(rows(*sweep, **more)))

    return of


@pytest.fixture
def plot(rows) -> Callable[..., Figure]:
    """One of them; those after it are not drawn."""

    def of(wanted: str, *sweep, **more) -> Figure:
        with matplotlib.rc_context(STYLE):
            return next(figure for name, figure in figures_of(rows(*sweep, **more)) if name == wanted)

    return of


def of_m(m: str, *_: str) -> list[float]:
    return [90.0 + int(m) - 1, 90.0 + int(m) + 1]


def words(figure: Figure) -> str:
    return " ".join(" ".join(word.split()) for word in words_of(figure))


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for part in figure.subfigs for legend in part.legends for text in legend.get_texts()]


def x_ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_one_axis(plots):
    (name, figure), *others = plots({"M": ["1", "2", "4"]}, of_m).items()
    (axes,) = figure.axes
    assert name == "accuracy_over_M" and not others  # all sets have the same bytes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("teachers M", "top-1 on test, %")
    assert x_ticks(figure) == ["1", "2", "4"] and axes.get_xscale() == "linear"
    (container,) = axes.containers
    points, _, (bars,) = container.lines
    assert list(points.get_ydata()) == [91, 92, 94]
    assert [top - bottom for (_, bottom), (_, top) in bars.get_segments()] == pytest.approx([2 * math.sqrt(2)] * 3)
    assert labels(figure) == []
    assert "digits, infer, static" in words(figure)
    assert "mean ± one standard deviation over 2 students (convnet3_w32_batchnorm), protocol digits_st" in words(figure)


def test_the_start_of_the_y_axis_is_told(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2"]}, of_m)
    bottom, _ = figure.axes[0].get_ylim()
    assert 85 < bottom < 91 - math.sqrt(2) and f"the y axis starts at {bottom:g} %, not at 0" in words(figure)


def test_low_scores_start_at_zero(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "4"]}, lambda m: [20.0 * int(m)])
    assert figure.axes[0].get_ylim()[0] == 0 and "y axis" not in words(figure)


def test_small_differences_do_not_fill_the_axis(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2"]}, lambda m: [90 + 0.01 * int(m)])
    bottom, top = figure.axes[0].get_ylim()
    assert top - bottom >= 2
    assert "one student (" in words(figure)


def test_more_than_a_decade_is_logarithmic(plot):
    figure = plot("accuracy_over_evaluate_lr", {"evaluate.lr": ["1e-4", "1e-3", "1e-2"]})
    assert figure.axes[0].get_xscale() == "log" and x_ticks(figure) == ["0.0001", "0.001", "0.01"]
    assert figure.axes[0].get_xlabel() == "student's learning rate"


def test_a_line_per_combination_told_apart_without_colour(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2"], "K": ["3", "5", "7"], "evaluate.lr": ["1e-3", "2e-3"]}, of_m)
    assert labels(figure) == [f"K={k}, evaluate.lr={lr}" for k in (3, 5, 7) for lr in ("0.001", "0.002")]
    lines = [container.lines[0] for container in figure.axes[0].containers]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 6
    assert len({line.get_color() for line in lines}) == 3


def test_names_are_points_beside_each_other(plot):
    archs = ["[resnet8]", "[convnet3_w64_batchnorm]", "[convnet3_w32_batchnorm]"]
    figure = plot("accuracy_over_student_archs", {"student.archs": archs, "M": ["1", "2"]}, lambda arch, m: of_m(m))
    assert x_ticks(figure) == [arch.strip("[]") for arch in archs]
    assert figure.axes[0].get_xlabel() == "students"
    assert all(container.lines[0].get_linestyle() == "None" for container in figure.axes[0].containers)


def test_null_is_a_value_of_its_own(plot):
    figure = plot(
        "accuracy_over_teachers_min_top1", {"teachers.min_top1": ["null", "50", "20"]}, lambda _: [90.0, 91.0]
    )
    assert x_ticks(figure) == ["null", "50", "20"]


def test_a_heat_map_of_two_axes(plots):
    figures = plots({"M": ["1", "2"], "K": ["3", "5", "7"]}, of_m, changes={4: FAILED})
    figure = figures["heatmap_M_K"]
    cells, bar = figure.axes
    assert (cells.get_xlabel(), cells.get_ylabel()) == ("natural subsets K", "teachers M")
    assert bar.get_ylabel() == "top-1 on test, %"
    numbers = {text.get_position(): text.get_text() for text in cells.texts}
    assert numbers[2, 1] == "92.00\n± 1.41" and (1, 1) not in numbers and len(numbers) == 5
    assert [patch.get_hatch() for patch in cells.patches].count("////") == 1
    assert "1 of 6 jobs not done and left out" in words(figure) and "hatched: 1 without a score" in words(figure)


def test_parallel_coordinates_instead_of_a_heat_map_of_three_axes(plots):
    names = plots({"M": ["1", "2"], "K": ["3", "5"], "evaluate.lr": ["1e-3", "2e-3"]})
    assert list(names) == ["accuracy_over_M", "accuracy_over_K", "accuracy_over_evaluate_lr", "parallel_coordinates"]


def test_a_missing_job_breaks_the_line(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2", "3"], "K": ["3", "5"]}, of_m, changes={2: FAILED})
    broken, whole = (list(container.lines[0].get_ydata()) for container in figure.axes[0].containers)
    assert whole == [91, 92, 93] and math.isnan(broken[1]) and [broken[0], broken[2]] == [91, 93]


def test_seeds_are_no_axis_but_the_spread(plots):
    scores = {"0": 90.0, "1": 92.0, "2": 94.0}
    figures = plots({"M": ["1", "2"], "seed": list(scores)}, lambda m, seed: [scores[seed]] * 2, changes={5: FAILED})
    assert list(figures) == ["accuracy_over_M"]
    assert list(figures["accuracy_over_M"].axes[0].containers[0].lines[0].get_ydata()) == [92, 91]
    assert "over 2 to 3 seeds" in words(figures["accuracy_over_M"])


def test_workers_are_no_axis(plots):
    assert plots({"worker": ["0", "1"]}) == {}


def test_incomparable_points_carry_a_warning(plot):
    figure = plot("accuracy_over_labeling", {"labeling": ["static", "dynamic"]})
    assert "Not comparable with each other: protocol digits_static, digits_dynamic" in words(figure)


def test_scores_on_val_are_called_so(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2"]}, words="evaluate.split=val")
    assert figure.axes[0].get_ylabel() == "top-1 on val, %" and "val: held-out training images" in words(figure)


def test_over_bytes(rows):
    budgets = ["1", "10", "50"]
    sizes = {n: {"storage": {"total_bytes": 1000 * int(budgets[n % 3]) * (1 + n // 3)}} for n in range(6)}
    with matplotlib.rc_context(STYLE):
        name, figure = next(figures_of(rows({"method": ["infer", "random"], "ipc": budgets}, changes=sizes)))
    assert name == "accuracy_over_bytes"
    axes = figure.axes[0]
    assert axes.get_xlabel() == "bytes of the distilled set, labels included" and axes.get_xscale() == "log"
    assert labels(figure) == ["method=infer", "method=random"]
    assert list(axes.containers[1].lines[0].get_xdata()) == [2000, 20000, 100000]
    assert "along each line ipc=1,10,50" in words(figure)


def test_too_many_lines_are_divided_into_panels(plot):
    figure = plot("accuracy_over_M", {"M": ["1", "2"], "K": list("13579"), "ipc": ["1", "2", "3"]}, of_m)
    assert [axes.get_title("left") for axes in figure.axes] == ["ipc=1", "ipc=2", "ipc=3"]
    assert labels(figure) == [f"K={k}" for k in "13579"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_far_too_many_lines_are_averaged_over_the_same_combinations(plot):
    many = [str(number) for number in range(1, 14)]
    swept = {"M": ["1", "2"], "ipc": many, "method.iterations": many}
    figure = plot("accuracy_over_M", swept, lambda m, ipc, _: [10.0 * int(m) + int(ipc)], changes={0: FAILED})
    (container,) = figure.axes[0].containers
    low, high = container.lines[0].get_ydata()
    assert high - low == pytest.approx(10)
    assert "over the 168 of 169 combinations that are done at all values" in words(figure)
    assert "students" not in words(figure)


def test_nothing_is_drawn_of_nothing(plots):
    assert plots({"M": ["1", "2"]}, changes={0: FAILED, 1: None}) == {}


SWEPT = {
    "M": ["1", "2"],
    "student.archs": ["[convnet3_w64_batchnorm]", "[timm/a_very_long_name_of_a_network,resnet8_w8]"],
}


METHODS = ["infer", "sre2l", "cda", "dwa", "rded", "herding", "kcenter", "random"]
THREE_AXES = {"M": list("1234"), "K": list("13579"), "ipc": ["1", "2", "3"]}
BY_LABELS = {"labeling": ["hard", "static", "dynamic", "fkd"], "method": METHODS}
"""A sweep whose protocols are not comparable: the warning stands above the legend."""


@pytest.mark.parametrize(
    "swept", [SWEPT, *(pytest.param(each, marks=pytest.mark.slow) for each in (THREE_AXES, BY_LABELS))]
)
def test_no_word_is_cut_or_covers_another(plots, swept):
    sizes = {n: {"storage": {"total_bytes": 1000 * (n + 1)}} for n in range(math.prod(map(len, swept.values())))}
    figures = plots(swept, of_m if "M" in swept else lambda *_: (90.0, 92.0), changes=sizes)
    assert len(figures) == 1 + len(swept) + 1
    for figure in figures.values():
        assert_tidy(figure)


def test_files(tmp_path):
    folder = write_sweep(tmp_path / "sweeps" / "20260103-made-up", {"M": ["1", "2"], "evaluate.lr": ["1e-3", "2e-3"]})
    rows = side_by_side(sweep_jobs(folder))
    names = draw(rows, folder)
    assert names == ["accuracy_over_M.png", "accuracy_over_evaluate_lr.png", "heatmap_M_evaluate_lr.png"]
    vectors = [folder / "figures" / Path(name).with_suffix(form) for name in names for form in (".svg", ".pdf")]
    drawn = [*vectors, *(folder / name for name in names)]
    before = [path.read_bytes() for path in drawn]
    draw(rows, folder)
    assert [path.read_bytes() for path in drawn] == before
    assert b"<dc:date>" not in before[0]
