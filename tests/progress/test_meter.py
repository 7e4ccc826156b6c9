"""Counts, rates and times left, and the lines and bars that show them."""

import io

import pytest
from rich.console import Console as Terminal

from infer.console import Console
from infer.progress import Forecast, Meter, Progress, meter, views
from infer.progress.views import Bars, speed
from infer.work import Pass, Passes, Work


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(meter.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def lines(clock, capsys):
    """The lines that a loop prints which reaches each count at a time in seconds."""

    def printed(total: int, *reached: tuple[int, float]) -> list[str]:
        with Progress(Console()).meter("work", total, "images") as counted:
            for done, seconds in reached:
                clock.now = 1000.0 + seconds
                counted.advance_to(done)
        return [line.strip() for line in capsys.readouterr().out.splitlines()]

    return printed


def test_single_steps_say_how_long_the_rest_takes_from_the_first(lines):
    assert lines(4, (1, 60), (2, 120)) == [
        "work  1/4 images, 1 min per image, 3 min left",
        "work  2/4 images, 1 min per image, 2 min left",
    ]


def test_batches_say_it_from_the_second(lines):
    assert lines(4000, (1000, 60), (2000, 120)) == [
        "work  1000/4000 images",
        "work  2000/4000 images, 17 images/s, 2 min left",
    ]


def test_resumed_work_counts_the_speed_of_what_was_done_now(lines):
    assert lines(1000, (900, 60), (950, 120)) == [
        "work  900/1000 images",
        "work  950/1000 images, 0.8 images/s, 1 min left",
    ]


def test_lines_are_half_a_minute_apart_and_none_tells_of_an_end(lines):
    assert len(lines(100, *((step, float(step)) for step in range(1, 91)))) == 3
    assert lines(100, (100, 200)) == []


def test_a_count_is_looked_at_ten_times_a_second_at_most(clock):
    looks = []
    counted = Meter("work", 1000, "steps", on_change=lambda each: looks.append(each.done))
    for step in range(1, 1001):
        clock.now += 0.001
        counted.advance_to(step)
    assert counted.done == 1000 and 10 <= len(looks) <= 12 and looks[-1] == 1000


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (4521.3, "4,521 steps/s"),
        (3.21, "3.2 steps/s"),
        (0.25, "4.0 s per step"),
        (1 / 90, "1 min 30 s per step"),
    ],
)
def test_speeds(rate, told):
    assert speed(rate, "steps") == told


def test_bars_show_what_lasts_and_the_time_left_to_the_run(clock):
    terminal = Terminal(file=io.StringIO(), force_terminal=True, width=150)
    bars = Bars(terminal, run_left=lambda: 90.0)
    outer, inner = (Meter(name, 10, "steps", on_change=bars.changed) for name in ("stage", "loop"))
    bars.opened(outer)
    bars.opened(inner)
    inner.advance_to(1)
    assert not any(task.visible for task in bars._bars.tasks)
    clock.now += 10
    inner.advance_to(6, "loss 0.5")
    shown = {task.description: task.fields["count"] for task in bars._bars.tasks if task.visible}
    assert shown == {
        "stage": "0/10 steps, run 1 min 30 s left",
        "loop": "6/10 steps, 0.6 steps/s, 6.7 s left, loss 0.5",
    }
    bars.closed(inner)
    bars.closed(outer)
    assert not bars._bars.live.is_started


def work_of(images: int, how: Pass = Pass.train) -> Work:
    return Work([Passes(how, "resnet18", images, at_once=64, size=32, classes=10, precision="fp32")])


def test_a_forecast_counts_what_like_artefacts_took_in_this_run():
    forecast, train, label = Forecast(), work_of(100), work_of(50, Pass.forward)
    assert forecast.left() is None
    forecast.expect({"a": train, "b": work_of(200), "c": label}, {train.kind: 0.01})
    assert forecast.left() is None  # nothing is known of labels
    forecast.expect({}, {label.kind: 0.02})
    assert forecast.left() == pytest.approx(3 + 6 + 1)
    assert forecast.left("a", 20.0) == pytest.approx(20 + 6 + 1)
    forecast.note("a", 6.0)
    assert forecast.left() == pytest.approx(12 + 1)
    forecast.note("b", None)  # another process made it
    forecast.note("c", 1.0)
    assert forecast.left() is None


def test_the_run_s_state_is_its_innermost_loop_and_the_count_of_the_stage(clock):
    progress = Progress(Console())
    assert progress.state() == {"stage": "start"}
    progress.forecast.expect({"a": work_of(1000), "b": work_of(1000)}, {work_of(1).kind: 0.1})
    with (
        progress.meter("squeeze, all", 4, "artefacts", "squeeze") as of_stage,
        progress.meter("squeeze resnet18", 1000, "images", "squeeze", "a") as training,
    ):
        of_stage.advance_to(1)
        training.advance_to(64)
        clock.now += 10
        training.advance_to(500)
        state = progress.state()
        assert state["run_left_s"] == pytest.approx(500 / 43.6 + 300)
        with progress.meter("squeeze resnet18: test", 10, "images"):
            tested = progress.state()
    assert (state["stage"], state["artefacts"], state["doing"]) == ("squeeze", [1, 4], "squeeze resnet18")
    assert (state["done"], state["total"], state["unit"]) == (500, 1000, "images")
    assert state["per_second"] == pytest.approx(43.6) and state["left_s"] == pytest.approx(500 / 43.6)
    assert tested["doing"] == "squeeze resnet18: test" and tested["run_left_s"] == state["run_left_s"]


def test_views_are_chosen_by_the_terminal(monkeypatch):
    assert isinstance(Progress(Console())._view, views.Lines)
