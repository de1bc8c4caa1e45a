import pytest

from training.evaluate.statistics import (
    Share,
    average_precision,
    calibration,
    calibration_error,
    precision_recall,
    quantile,
)


def test_a_share_never_comes_without_its_counts():
    assert str(Share(196, 200)) == "98.0 % (196 of 200)"
    assert str(Share(0, 0)) == "none"
    assert Share(0, 0).value is None
    assert Share(0, 0).bounds is None


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(81, 263, 0.255, 0.366), (15, 148, 0.062, 0.160), (0, 20, 0.000, 0.161), (20, 20, 0.839, 1)],
)
def test_the_bounds_are_wilsons(part, whole, low, high):
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3; the last by symmetry.
    assert Share(part, whole).bounds == pytest.approx((low, high), abs=6e-4)


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [([], 0.5, None), ([3.0], 0.95, 3.0), ([1, 2, 3, 4], 0.5, 2.5), ([4, 1, 3, 2], 1.0, 4)],
)
def test_quantiles_are_interpolated(values, part, expected):
    assert quantile(values, part) == expected


def test_a_precision_recall_curve_goes_down_the_scores():
    curve = precision_recall([(0.9, True), (0.8, False), (0.7, True), (0.7, False)])

    assert [(p.threshold, p.recall, p.precision) for p in curve] == [
        (0.9, 0.5, 1.0),
        (0.8, 0.5, 0.5),
        (0.7, 1.0, 0.5),
    ]
    assert average_precision(curve) == pytest.approx(0.75)
    assert precision_recall([(0.9, False)]) == []
    assert average_precision([]) is None


def test_calibration_compares_what_was_said_with_what_was_right():
    bins = calibration([(0.95, True), (0.95, False), (0.1, False), (1.0, True)])

    assert [(b.count, b.right) for b in bins] == [(1, 0.0), (3, pytest.approx(2 / 3))]
    assert calibration_error(bins) == pytest.approx((0.1 + 3 * abs(2.9 / 3 - 2 / 3)) / 4)
    assert calibration_error([]) is None
