import numpy as np
import pytest

from detector_svc.yolo import Detections
from training.agreement import AT_LEAST, Agreement


def detections(count=300, seed=0):
    """Return detections from a score of 0.9 down, best first."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 500, (count, 2))
    return Detections(
        np.hstack([corners, corners + 40]).astype(np.float32),
        np.linspace(0.9, 0.3, count).astype(np.float32),
        random.integers(0, 3, count).astype(np.int32),
    )


def changed(found, *, boxes=0.0, scores=0.0, labels=0):
    return Detections(
        (found.boxes + np.float32(boxes)).astype(np.float32),
        (found.scores + np.float32(scores)).astype(np.float32),
        (found.labels + labels).astype(np.int32),
    )


def test_what_is_the_same_agrees() -> None:
    agreement = Agreement()
    agreement.add_boxes(detections(), detections())

    assert (agreement.good, agreement.compared) == (True, 300)
    assert str(agreement) == "boxes within 0 px, scores within 0"


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({"boxes": 0.4}, True),
        ({"boxes": 0.6}, False),
        ({"scores": 0.0009}, True),
        ({"scores": 0.002}, False),
        ({"labels": 1}, False),
    ],
)
def test_the_limits_are_half_a_pixel_and_a_thousandth(change, good) -> None:
    agreement = Agreement()
    agreement.add_boxes(detections(), changed(detections(), **change))

    assert agreement.good == good


def test_candidates_of_one_score_may_change_places() -> None:
    found = detections(200)
    equal = Detections(found.boxes, np.full(200, 0.5, np.float32), found.labels)
    turned = equal[np.arange(200)[::-1]]

    agreement = Agreement()
    agreement.add_boxes(equal, turned)

    assert agreement.good
    assert agreement.box_px == 0


def test_only_the_best_are_compared_where_one_side_keeps_no_more() -> None:
    agreement = Agreement()
    agreement.add_boxes(detections(), detections()[:150])

    assert (agreement.good, agreement.compared) == (True, 150)


def test_a_picture_with_nothing_in_it_compares_the_best_that_there_are() -> None:
    faint = changed(detections(), scores=-0.3)
    faint = Detections(faint.boxes, faint.scores / 1000, faint.labels)

    agreement = Agreement()
    agreement.add_boxes(faint, faint)

    assert agreement.compared == AT_LEAST


def test_one_side_without_answers_does_not_agree() -> None:
    for pair in ((detections(), Detections.none()), (Detections.none(), detections())):
        agreement = Agreement()
        agreement.add_boxes(*pair)
        assert not agreement.good


def test_one_bad_picture_among_good_ones_is_not_forgotten() -> None:
    agreement = Agreement()
    for boxes in (0.0, 3.0, 0.0):
        agreement.add_boxes(detections(), changed(detections(), boxes=boxes))

    assert not agreement.good
    assert agreement.box_px == pytest.approx(3, abs=1e-3)


def test_scores_that_are_no_numbers_do_not_agree() -> None:
    agreement = Agreement()
    agreement.add_scores(np.array([0.2, np.nan]), np.array([0.2, 0.8]))
    assert not agreement.good


def test_scores_of_another_length_do_not_agree() -> None:
    agreement = Agreement()
    agreement.add_scores(np.array([0.2]), np.array([0.2, 0.8]))
    assert not agreement.good
