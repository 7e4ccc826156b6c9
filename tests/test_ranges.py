from infer.ranges import consecutive


def test_consecutive_ranges_cover_the_count_and_the_last_is_what_is_left():
    assert consecutive(10, 4) == [range(4), range(4, 8), range(8, 10)]
    assert consecutive(3, 100) == [range(3)]
    assert consecutive(0, 4) == []
