from itertools import pairwise

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from benchmarks.robustness import (
    CARD_M,
    FACTORS,
    HEIGHT,
    MIN_BOX,
    WIDTH,
    Conditions,
    Point,
    distance_m,
    in_words,
    judge,
    reach,
    seen,
    sights,
)
from producers.cards import CARDS
from training.cards.sheet import _WIDE_HEIGHT
from training.check import Found

KIND = Conditions()


def test_the_distance_is_that_of_a_pinhole_camera() -> None:
    # At 45 degrees to each side a frame is as wide as twice the distance.
    assert distance_m(1280, card_m=2.0, view=90) == pytest.approx(1.0)
    assert distance_m(96) == pytest.approx(0.876, abs=0.001)
    assert distance_m(48) == pytest.approx(2 * distance_m(96))


def test_the_card_is_one_of_the_printed_sheets() -> None:
    lying = max(card.width for card in CARDS)
    assert pytest.approx(_WIDE_HEIGHT * lying / 1000, abs=0.0005) == CARD_M


def test_the_same_sights_come_again_and_show_guns_inside_the_frame() -> None:
    once, again = list(sights(3)), list(sights(3))
    for first, second in zip(once, again, strict=True):
        frame, box = seen(first, KIND)
        assert np.array_equal(frame, seen(second, KIND)[0])
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert 0 < box[0] < box[2] < WIDTH
        assert box[2] - box[0] == pytest.approx(96, abs=15)
    assert {sight.card.label for sight in sights(20)} == {"small_gun", "big_gun"}


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.field)
def test_each_step_of_a_factor_is_further_from_the_kind_picture(factor) -> None:
    [sight] = sights(1)
    kind, box = seen(sight, Conditions(**{factor.field: factor.steps[0]}))
    left, top, right, bottom = (round(value) for value in box)
    off = []
    for step in factor.steps:
        frame, _ = seen(sight, Conditions(**{factor.field: step}))
        changed = cv2.absdiff(frame, kind)[top:bottom, left:right]
        off.append(float(changed.mean()))
    assert off[0] == 0
    if factor.field != "size":
        assert all(more >= less * 0.95 for less, more in pairwise(off))
        assert off[-1] > 5


class Says:
    """Models that find what they are told."""

    def __init__(self, *found: Found) -> None:
        self.found = found

    def judge(self, frame, min_score):
        return [each for each in self.found if each.score >= min_score]


def test_a_card_counts_as_found_where_it_is_and_as_confirmed_under_its_label() -> None:
    [sight] = sights(1)
    _, box = seen(sight, KIND)
    other = "big_gun" if sight.card.label == "small_gun" else "small_gun"
    elsewhere = (0.0, 0.0, 40.0, 40.0)

    def judged(*found: Found, how: Conditions = KIND) -> tuple[bool, bool]:
        return judge(Says(*found), sight, how, 0.25)  # type: ignore[arg-type]

    assert judged(Found(box, 0.9, sight.card.label, 0.8)) == (True, True)
    assert judged(Found(box, 0.9, sight.card.label, 0.79)) == (True, False)
    assert judged(Found(box, 0.9, other, 1.0)) == (True, False)
    assert judged(Found(box, 0.2, sight.card.label, 1.0)) == (False, False)
    assert judged(Found(elsewhere, 0.9, sight.card.label, 1.0)) == (False, False)
    tiny = Conditions(size=MIN_BOX - 4)
    small = Found(seen(sight, tiny)[1], 0.9, sight.card.label, 1.0)
    assert judged(small, how=tiny) == (False, False)


def point(size: float, confirmed: int) -> Point:
    return Point("size", size, cards=10, found=10, confirmed=confirmed)


def test_it_reaches_as_far_as_nothing_nearer_is_missed() -> None:
    points = [point(20, 9), point(32, 8), point(64, 9), point(96, 10)]
    assert reach(points) == 64
    assert reach(points[:2]) is None
    assert "64 px, 1.3 m" in in_words(points)
    assert "At 32 px, 2.6 m, it is 80% (8 of 10)." in in_words(points)
    assert in_words(points[:2]).startswith("At no size")
