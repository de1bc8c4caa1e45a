import itertools

import pytest

from classifier_svc.looks import Look, best_of, decision_of, label_of, opening
from classifier_svc.memory import Track
from secondlook.config import Alerts
from tests.classifier_svc.scene import look, ns

RULE = Alerts()


def looks_at(*given: tuple[float, str]) -> list[Look]:
    return [look(at, what) for at, what in given]


@pytest.mark.parametrize(
    ("given", "place", "window"),
    [
        pytest.param([(0, "s")], 0, None, id="one-is-not-enough"),
        pytest.param([(0, "s"), (1, "s")], 1, [0, 1], id="two-of-two"),
        pytest.param([(0, "s"), (1, "r"), (2, "s")], 2, [0, 1, 2], id="two-of-three"),
        pytest.param([(0, "s"), (0.1, "r"), (0.2, "r"), (0.3, "s")], 3, None, id="two-of-four"),
        pytest.param(
            [(0, "s"), (0.1, "u"), (0.2, "u"), (0.3, "s")], 3, None, id="uncertain-takes-a-place"
        ),
        pytest.param([(0, "s"), (2.0, "s")], 1, [0, 1], id="the-window-includes-its-edge"),
        pytest.param([(0, "s"), (2.001, "s")], 1, None, id="too-far-apart"),
        pytest.param([(0, "s"), (1, "b")], 1, [0, 1], id="alert-labels-count-together"),
        pytest.param([(0, "s"), (1, "s"), (1.1, "r")], 0, [0, 1], id="a-late-first-look"),
        pytest.param([(0, "s"), (1, "s"), (2, "s")], 1, [0, 1], id="the-earliest-window"),
        pytest.param(
            [(0, "s"), (0.5, "s"), (0.6, "r"), (0.7, "r"), (0.8, "r")],
            0,
            [0, 1],
            id="a-late-look-completes-a-window-of-the-past",
        ),
        pytest.param(
            [(0, "s"), (0.1, "s"), (0.2, "r"), (0.3, "r"), (0.4, "r")],
            4,
            None,
            id="only-windows-that-hold-the-new-look",
        ),
    ],
)
def test_opening(given: list[tuple[float, str]], place: int, window: list[int] | None) -> None:
    looks = looks_at(*given)
    expected = None if window is None else [looks[i] for i in window]
    assert opening(looks, place, RULE) == expected


@pytest.mark.parametrize(
    "given",
    [
        [(0, "s"), (0.2, "r"), (0.4, "s"), (0.6, "r")],
        [(0, "r"), (0.2, "s"), (0.4, "r"), (0.6, "r"), (0.8, "b")],
        [(0, "u"), (0.2, "s"), (0.4, "u"), (0.6, "s")],
        [(0, "s"), (0.2, "r"), (0.4, "r"), (0.6, "s")],
    ],
)
def test_whether_an_episode_opens_does_not_depend_on_the_order_of_arrival(
    given: list[tuple[float, str]],
) -> None:
    def opens(looks: tuple[Look, ...]) -> bool:
        track = Track("yard-1", looks[0].at)
        found = False
        for each in looks:
            place = track.place(each, RULE.n, ns(RULE.within_s))
            assert place is not None
            found = found or opening(track.looks, place, RULE) is not None
        return found

    in_order = tuple(looks_at(*given))
    assert {opens(order) for order in itertools.permutations(in_order)} >= {opens(in_order)}
    if opens(in_order):
        assert all(opens(order) for order in itertools.permutations(in_order))


def test_a_look_that_came_before_is_known() -> None:
    track = Track("yard-1", look(0).at)
    assert track.place(look(1), 3, ns(2)) == 0
    assert track.place(look(1), 3, ns(2)) is None
    assert track.taken == 1


def test_a_track_remembers_a_bounded_number_of_looks() -> None:
    track = Track("yard-1", look(0).at)
    for number in range(500):
        track.place(look(number / 100), 3, ns(2))
    assert len(track.looks) <= 16
    assert track.taken == 500
    assert track.looks[-1].frame.media_ns == ns(4.99)


def test_old_looks_are_forgotten_but_never_the_last_2_n() -> None:
    track = Track("yard-1", look(0).at)
    for number in range(10):
        track.place(look(number * 100), 3, ns(2))
    assert len(track.looks) == 6


def test_a_very_late_look_is_placed_before_all_others() -> None:
    track = Track("yard-1", look(0).at)
    for number in range(100, 140):
        track.place(look(number), 3, ns(2))
    assert track.place(look(1), 3, ns(2)) == 0
    assert track.last == look(139).at


@pytest.mark.parametrize(
    ("given", "label"),
    [
        pytest.param([("s", 0.9), ("b", 0.95)], "big_gun", id="the-larger"),
        pytest.param([("s", 0.85), ("s", 0.85), ("b", 0.99)], "small_gun", id="the-sum"),
        pytest.param([("b", 0.9), ("s", 0.9)], "small_gun", id="the-first-in-the-rule"),
        pytest.param([("u", 0.79), ("u", 0.79), ("b", 0.8)], "big_gun", id="only-confirmed-count"),
    ],
)
def test_the_label_is_the_one_with_the_largest_sum(
    given: list[tuple[str, float]], label: str
) -> None:
    window = [look(at, what, score=score) for at, (what, score) in enumerate(given)]
    assert label_of(window, RULE) == label


def test_the_best_look_of_the_label_is_shown_and_of_equals_the_newest() -> None:
    window = [look(0, "s", score=0.9), look(1, "s", score=0.9), look(2, "b", score=0.99)]
    assert best_of(window, "small_gun") == window[1]


def test_the_decision_tells_the_rule_and_the_votes() -> None:
    decision = decision_of(looks_at((0, "s"), (1, "u"), (2, "b")), RULE)
    assert decision.rule == "2 of 3 looks within 2.0 s"
    assert (decision.confirmed, decision.rejected, decision.uncertain) == (2, 0, 1)
