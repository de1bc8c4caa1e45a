import random

import pytest

from tests.soak.trend import FEWEST, HOUR_S, slope, trend_of

NUMBER = 300
EVERY_S = 10.0


def series(change, noise=0.0):
    chance = random.Random(7)
    return [
        (n * EVERY_S, 100 + change(n * EVERY_S / HOUR_S) + chance.uniform(-noise, noise))
        for n in range(NUMBER)
    ]


def test_the_slope_of_a_line_is_that_of_the_line() -> None:
    assert slope(series(lambda hours: 12 * hours)) * HOUR_S == pytest.approx(12)


def test_a_leak_is_found_below_the_noise() -> None:
    assert trend_of(series(lambda hours: 9 * hours, noise=8), 6).verdict == "growing"


def test_noise_alone_does_not_grow() -> None:
    assert trend_of(series(lambda _: 0, noise=8), 6).verdict == "flat"


def test_a_few_wild_measurements_change_nothing() -> None:
    points = series(lambda _: 0)
    points[200:240] = [(at, 10_000.0) for at, _ in points[200:240]]
    assert trend_of(points, 1).per_hour == pytest.approx(0)


def test_what_settles_after_a_while_does_not_grow() -> None:
    settling = trend_of(series(lambda hours: 60 * min(hours, 0.4)), 6)
    assert settling.per_hour > 6
    assert settling.verdict == "flat"


def test_what_begins_late_has_to_go_on_to_be_called_growing() -> None:
    assert trend_of(series(lambda hours: 40 * max(0.0, hours - 0.3)), 6).verdict == "growing"


def test_what_shrinks_is_flat() -> None:
    assert trend_of(series(lambda hours: -50 * hours), 6).verdict == "flat"


def test_too_few_measurements_prove_nothing() -> None:
    points = series(lambda hours: 1000 * hours)[: FEWEST - 1]
    assert trend_of(points, 6).verdict == "too short"
    assert trend_of([*points, (FEWEST * EVERY_S, 1e6)], 6).verdict == "growing"


def test_beginning_end_and_height_are_told() -> None:
    trend = trend_of(series(lambda hours: 12 * hours), 20)
    assert trend.first == pytest.approx(100.5, abs=0.1)
    assert trend.last == pytest.approx(109.5, abs=0.1)
    assert trend.highest == pytest.approx(100 + 12 * 2990 / 3600)
