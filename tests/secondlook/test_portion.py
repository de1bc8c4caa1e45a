from hypothesis import given
from hypothesis import strategies as st

from secondlook.portion import Portion


def test_it_begins_with_as_many_as_the_model_takes() -> None:
    assert Portion(16, 2.0).size == 16


def test_what_was_not_answered_in_time_is_tried_again_by_halves() -> None:
    portion = Portion(16, 2.0)
    sizes = []
    while portion.size > 1:
        portion.given_up(portion.size)
        sizes.append(portion.size)
    portion.given_up(1)
    assert [*sizes, portion.size] == [8, 4, 2, 1, 1]


def test_of_a_few_that_were_too_many_still_fewer_are_tried() -> None:
    portion = Portion(16, 2.0)
    portion.given_up(3)
    assert portion.size == 1


def test_one_picture_that_was_not_answered_says_nothing_of_batches() -> None:
    portion = Portion(16, 2.0)
    portion.given_up(1)
    assert portion.size == 16


def test_quick_answers_make_it_grow_again() -> None:
    portion = Portion(16, 2.0)
    portion.given_up(8)
    portion.answered(0.5)
    assert portion.size == 8
    portion.answered(0.1)
    portion.answered(0.1)
    assert portion.size == 16


def test_an_answer_just_in_time_leaves_it_as_it_is() -> None:
    portion = Portion(16, 2.0)
    portion.given_up(8)
    portion.answered(1.9)
    assert portion.size == 4


@given(
    st.integers(1, 256),
    st.floats(0.01, 10),
    st.floats(0.001, 1),
    st.lists(st.floats(0.5, 2), max_size=30),
)
def test_whatever_a_crop_costs_it_settles_where_calls_are_answered(
    most: int, deadline_s: float, crop_s: float, moods: list[float]
) -> None:
    portion = Portion(most, deadline_s)
    for mood in [*moods, *[1.0] * 20]:
        assert 1 <= portion.size <= most
        took_s = portion.size * crop_s * mood
        if took_s > deadline_s:
            portion.given_up(portion.size)
        else:
            portion.answered(took_s)
    assert portion.size == 1 or portion.size * crop_s <= deadline_s
