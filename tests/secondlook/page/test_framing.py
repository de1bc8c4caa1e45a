from hypothesis import given
from hypothesis import strategies as st

from secondlook.page.framing import JUDGED_WITHIN_NS, KEPT, Frames
from tests.secondlook.page.said import frame


def frames(count: int) -> Frames:
    found = Frames()
    for number in range(count):
        found.came(frame(number), number / 5)
    return found


def test_without_frames_there_is_nothing_to_show() -> None:
    assert Frames().candidates() == []


def test_the_newest_frame_is_shown() -> None:
    assert frames(9).candidates() == [frame(8)]


def test_a_frame_that_was_judged_lately_goes_first_for_the_sake_of_its_boxes() -> None:
    found = frames(9)
    found.judged(frame(5).id)

    assert found.candidates() == [frame(5), frame(8)]


def test_a_frame_that_was_judged_long_ago_is_not_shown() -> None:
    found = frames(20)
    found.judged(frame(5).id)

    assert found.candidates() == [frame(19)]


def test_frames_that_were_never_announced_are_not_shown() -> None:
    found = frames(9)
    found.judged("front_door-1")

    assert found.candidates() == [frame(8)]


def test_no_more_frames_are_remembered_than_a_store_keeps() -> None:
    found = frames(KEPT + 50)
    found.judged(frame(10).id)

    assert found.candidates() == [frame(KEPT + 49)]


def test_the_rate_is_that_of_the_last_seconds() -> None:
    found = frames(50)

    assert found.rate(9.9) == 5.0
    assert found.rate(100.0) == 0.0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=200))
def test_what_is_shown_was_announced_and_is_hardly_older_than_the_newest(
    history: list[tuple[bool, int]],
) -> None:
    found, came = Frames(), []
    for number, (is_frame, which) in enumerate(history):
        if is_frame:
            came.append(frame(number))
            found.came(came[-1], number / 5)
        else:
            found.judged(frame(which).id)

        candidates = found.candidates()
        assert bool(candidates) is bool(came)
        assert candidates[-1:] == came[-1:]
        for each in candidates:
            assert each in came
            assert came[-1].captured_ns - each.captured_ns <= JUDGED_WITHIN_NS
