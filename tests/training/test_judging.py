import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from producers.cards import CARDS
from training.cards.compose import Placed, Scene
from training.check import Found, Track, compare
from training.datasets import Picture, Thing
from training.operating_point import tally_picture, tally_scene
from training.points import Detection, Point, Tally, choose, curve, same

PHONE = next(card for card in CARDS if card.label == "phone")
BLANK = next(card for card in CARDS if card.label == "blank")
BOX = (10.0, 10.0, 90.0, 70.0)


@pytest.mark.parametrize(
    ("looks", "alerts"),
    [
        pytest.param([("small_gun", 0.9)], {}, id="one-is-not-enough"),
        pytest.param([("small_gun", 0.9), ("small_gun", 0.8)], {"small_gun": 1.0}, id="two"),
        pytest.param([("small_gun", 0.9), ("small_gun", 0.79)], {}, id="too-unsure"),
        pytest.param([("small_gun", 0.9), ("phone", 1.0), ("small_gun", 0.9)], {"small_gun": 2.0},
                     id="two-of-three"),
        pytest.param([("small_gun", 0.9), ("phone", 1.0), ("phone", 1.0), ("small_gun", 0.9)], {},
                     id="two-of-four"),
        pytest.param([("small_gun", 0.9), ("big_gun", 0.9)], {}, id="one-of-each"),
    ],
)  # fmt: skip
def test_two_of_three_looks_alert(looks, alerts) -> None:
    track = Track(0.0, 0)
    for index, (label, score) in enumerate(looks):
        track.add(Found(BOX, 0.5, label, score), index, float(index))
    assert track.alerts == alerts


def track_with(**alerts: float) -> Track:
    return Track(0.0, 0, [Found(BOX, 0.5, "phone", 1.0)], alerts)


EPISODES = [
    {"label": "small_gun", "start_s": 1.0, "end_s": 3.0},
    {"label": "phone", "start_s": 5.0, "end_s": 7.0},
]


@pytest.mark.parametrize(
    ("tracks", "good"),
    [
        pytest.param([track_with(small_gun=1.2)], True, id="as-it-should-be"),
        pytest.param([], False, id="missed"),
        pytest.param([track_with(small_gun=1.2), track_with(small_gun=2.0)], False, id="twice"),
        pytest.param([track_with(small_gun=1.2), track_with(small_gun=6.0)], False, id="phone"),
        pytest.param([track_with(big_gun=1.2)], False, id="the-other-gun"),
    ],
)
def test_alerts_are_compared_with_the_truth(tracks, good) -> None:
    assert compare(tracks, EPISODES)[1] is good


def found(*scored: tuple[tuple[float, float, float, float], float]) -> list[Detection]:
    return [Detection(box, score, "suspect") for box, score in scored]


def test_a_detection_counts_for_the_card_it_covers() -> None:
    scene = Scene(np.zeros((720, 1280, 3), np.uint8), [Placed(PHONE, BOX, 1.0)])
    seen = found(((12.0, 12.0, 88.0, 70.0), 0.4), (BOX, 0.6), ((500.0, 500.0, 560.0, 560.0), 0.3))
    assert tally_scene(scene, seen) == Tally([0.6], [0.3], 1)


def test_a_detection_of_a_blank_card_is_false_and_hidden_cards_are_not_wanted() -> None:
    cards = [Placed(BLANK, BOX, 1.0), Placed(PHONE, (600, 10, 680, 70), 0.4)]
    scene = Scene(np.zeros((720, 1280, 3), np.uint8), cards)
    seen = found((BOX, 0.5), ((600.0, 10.0, 680.0, 70.0), 0.9))
    assert tally_scene(scene, seen) == Tally([], [0.5], 1)


def test_a_detection_with_another_label_finds_nothing_and_is_false() -> None:
    seen = [Detection(BOX, 0.7, "cat"), Detection(BOX, 0.4, "dog")]
    picture = Picture("a.jpg", 1280, 720, (Thing("dog", BOX),))
    assert tally_picture(picture, seen, min_width=0) == Tally([0.4], [0.7], 1)


@pytest.mark.parametrize(("min_width", "wanted"), [(40.0, [0.7]), (40.1, [])])
def test_things_that_are_too_narrow_need_not_be_found_but_are_not_false(min_width, wanted) -> None:
    # 80 pixels of 2560 are 40 of 1280.
    picture = Picture("a.jpg", 2560, 1440, (Thing("dog", BOX),))
    seen = [Detection(BOX, 0.7, "dog")]
    assert tally_picture(picture, seen, min_width) == Tally(wanted, [], 1)


def test_boxes_are_compared_by_intersection_over_union() -> None:
    assert same((0, 0, 10, 10), (0, 0, 10, 10)) == pytest.approx(1)
    assert same((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert same((0, 0, 10, 10), (20, 0, 30, 10)) == 0


def test_the_highest_threshold_with_enough_recall_is_chosen() -> None:
    halves = [Tally([0.9, 0.45], [0.3], 1), Tally([0.12, 0.9], [0.05], 1)]
    points = curve(Tally.of(halves))
    assert [p.found for p in points if p.min_score in (0.1, 0.4, 0.5)] == [4, 3, 2]
    assert next(p for p in points if p.min_score == 0.1).false_per_image == 0.5
    assert choose(points, 0.75).min_score == 0.45
    assert choose(points, 1.0).min_score == 0.1


def test_without_enough_recall_the_lowest_threshold_is_chosen() -> None:
    points = [Point(0.1, 1, 4, 0.0), Point(0.2, 0, 4, 0.0)]
    assert choose(points, 0.9) == points[0]
