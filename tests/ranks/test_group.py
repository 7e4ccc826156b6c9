"""Talk between ranks: shares of rows, whether they are alike, and which of them speaks when all end."""

from pathlib import Path

import pytest
from helpers.ranks import on_ranks

from infer.ranks import LostRank, Ranks, last_words, ranks
from infer.ranks.agreement import code_digest, difference
from infer.ranks.endings import Words, line_for

_DIED = "died or does not answer. What was finished is kept; the same command goes on from there"


@pytest.mark.parametrize(("world", "total"), [(1, 5), (2, 5), (3, 7), (4, 3)])
def test_shares_cover_every_row_once(world, total):
    covered, sizes = [], []
    for rank in range(world):
        one = Ranks()
        one.rank, one.world = rank, world
        with one.together():
            covered += range(total)[one.rows(total)]
            sizes = one.shares(total)
            assert sizes[rank] == len(range(total)[one.rows(total)])
        assert one.rows(total) == slice(0, total) and one.count == 1
    assert covered == list(range(total))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({0: Words("bad", failed=True), 1: Words("lost", lost=True)}, "bad"),
        ({0: Words("lost", lost=True), 1: Words("bad", failed=True)}, "rank 1 of 2: bad"),
        ({0: Words("bad", failed=True), 1: Words("bad", failed=True)}, "bad"),
        ({1: Words("bad", failed=True)}, "rank 1 of 2: bad"),  # rank 0 is busy, and has not heard of it
        ({0: Words("lost", lost=True)}, f"rank 1 of 2 {_DIED}"),
        ({1: Words("stopped")}, f"rank 0 of 2 {_DIED}"),
        ({0: Words("stopped"), 1: Words("lost", lost=True)}, "stopped"),
        ({0: Words("lost", lost=True), 1: Words("lost", lost=True)}, "lost"),
    ],
)
def test_the_line_for_the_end_of_all(words, line):
    assert line_for(words, 2) == line


def test_several_silent_ranks_are_named():
    assert line_for({1: Words("lost", lost=True)}, 4) == f"ranks 0 and 2 and 3 of 4 {_DIED}"


def test_the_first_difference_is_named():
    same = {"settings": "a", "code": "b"}
    assert difference({0: same, 1: dict(same)}) is None
    line = difference({0: same, 1: same | {"code": "c"}, 2: same, 3: same | {"code": "c"}})
    assert line is not None and line.startswith("ranks 1, 3 of 4: different code from rank 0. Start all ranks")


def test_code_is_told_apart_by_content_and_name(tmp_path):
    (tmp_path / "a.py").write_text("1")
    digests = {code_digest(tmp_path)}
    (tmp_path / "a.py").write_text("2")
    digests.add(code_digest(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    digests.add(code_digest(tmp_path))
    assert len(digests) == 3 and code_digest(tmp_path) == code_digest(tmp_path)


def test_a_process_alone_says_its_own_line():
    assert last_words("bad", failed=True) == "bad"


def ends(failing: int) -> str | None:
    """Line that a rank prints when the rank ``failing`` has an error of its own in the middle of the work."""
    try:
        if ranks.rank == failing:
            raise ValueError
        ranks.any(False)
    except ValueError:
        return last_words("bad luck", failed=True)
    except LostRank as error:
        return last_words(str(error), lost=True)
    return "nothing happened"


@pytest.mark.parametrize(("failing", "line"), [(0, "bad luck"), (1, "rank 1 of 2: bad luck")])
def test_an_error_of_one_rank_is_said_once(tmp_path: Path, failing: int, line: str) -> None:
    said = on_ranks(2, tmp_path, ends, failing)
    assert sorted(said, key=str) == sorted([None, line], key=str)
