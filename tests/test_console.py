"""What a person reads while a run goes on: progress as plain lines, sizes and durations."""

import pytest

from infer import console
from infer.console import Console, duration, size


@pytest.fixture
def lines(monkeypatch, capsys):
    """The lines that a piece of work prints which reaches each count of steps at a time in seconds."""

    def printed(total: int, *reached: tuple[int, float]) -> list[str]:
        times = iter([0.0, *(seconds for _, seconds in reached)])
        monkeypatch.setattr(console.time, "monotonic", lambda: next(times))
        with Console().progress("work", total) as ticker:
            for done, _ in reached:
                ticker.advance_to(done)
        return [line.strip() for line in capsys.readouterr().out.splitlines()]

    return printed


def test_single_steps_say_how_long_the_rest_takes_from_the_first(lines):
    assert lines(4, (1, 60), (2, 120)) == ["work  1/4  1 min, 3 min left", "work  2/4  2 min, 2 min left"]


def test_whole_epochs_of_steps_say_it_from_the_second(lines):
    assert lines(400, (100, 60), (200, 120)) == ["work  100/400  1 min", "work  200/400  2 min, 2 min left"]


def test_resumed_work_counts_the_speed_of_what_was_done_now(lines):
    assert lines(1000, (900, 60), (950, 120)) == ["work  900/1000  1 min", "work  950/1000  2 min, 1 min left"]


def test_lines_keep_some_distance(lines):
    assert len(lines(100, *((step, step / 10) for step in range(1, 101)))) <= 2


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
