import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.wall import STEP_NS, Wall

HOUR = 3_600_000_000_000
SECOND = 1_000_000_000


def told(*clocks: tuple[int, int]) -> Wall:
    wall = Wall()
    for wall_ns, steady_ns in clocks:
        wall.tell(wall_ns, steady_ns)
    return wall


def test_without_steps_an_age_is_a_difference() -> None:
    wall = told((100 * HOUR, 0), (101 * HOUR, HOUR))
    assert wall.age_ns(100 * HOUR, 101 * HOUR) == HOUR
    assert wall.age_ns(102 * HOUR, 101 * HOUR) == 0


def test_a_step_forward_is_no_age() -> None:
    # Set three hours on between the two, which are a minute apart.
    wall = told((100 * HOUR, 0), (103 * HOUR + 60 * SECOND, 60 * SECOND))
    now_ns = 103 * HOUR + 90 * SECOND
    assert wall.age_ns(100 * HOUR, now_ns) == 90 * SECOND
    assert wall.age_ns(103 * HOUR + 70 * SECOND, now_ns) == 20 * SECOND
    assert wall.before_ns(20 * SECOND, now_ns) == 103 * HOUR + 70 * SECOND
    assert wall.before_ns(90 * SECOND, now_ns) == 100 * HOUR


@pytest.mark.parametrize("off_ns", [0, STEP_NS, -STEP_NS, -3 * HOUR])
def test_small_differences_and_steps_back_change_no_age(off_ns: int) -> None:
    wall = told((100 * HOUR, 0), (101 * HOUR + off_ns, HOUR))
    assert wall.age_ns(100 * HOUR, 101 * HOUR) == HOUR


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.integers(0, 10**16)), min_size=1, max_size=10),
    st.data(),
)
def test_what_happened_keeps_its_true_age_through_any_steps_forward(
    moves: list[tuple[int, int]], data: st.DataObject
) -> None:
    wall, wall_ns, steady_ns = Wall(), 10**18, 0
    wall.tell(wall_ns, steady_ns)
    moments = [(wall_ns, steady_ns)]
    for passed_ns, set_ns in moves:
        step_ns = set_ns if set_ns > STEP_NS else 0
        wall_ns, steady_ns = wall_ns + passed_ns + step_ns, steady_ns + passed_ns
        wall.tell(wall_ns, steady_ns)
        moments.append((wall_ns, steady_ns))
    then_ns, then_steady_ns = data.draw(st.sampled_from(moments))
    assert wall.age_ns(then_ns, wall_ns) == steady_ns - then_steady_ns
    assert wall.before_ns(steady_ns - then_steady_ns, wall_ns) <= then_ns
