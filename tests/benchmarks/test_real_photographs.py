import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from benchmarks.real_photographs import (
    FLOOR,
    Pictures,
    alerts_of,
    outcome,
    row,
    rows_at,
    threshold_for,
)
from training.check import Found, Track

BOX = (0.0, 0.0, 10.0, 10.0)


def found(score: float, label: str = "empty", label_score: float = 0.9) -> Found:
    return Found(BOX, score, label, label_score)


@pytest.mark.parametrize(
    ("label", "score", "expected"),
    [
        ("small_gun", 0.8, "confirmed"),
        ("big_gun", 0.79, "uncertain"),
        ("phone", 0.5, "rejected"),
        ("phone", 0.49, "uncertain"),
    ],
)
def test_outcomes_are_those_of_the_shipped_rule(label: str, score: float, expected: str) -> None:
    assert outcome(found(0.5, label, score)) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.5, 0.4, 0.3], 0.25, id="enough-at-the-operating-point"),
        pytest.param([0.5, 0.4, 0.11], 0.1, id="lowered"),
        pytest.param([0.5], FLOOR, id="never-enough"),
    ],
)
def test_the_threshold_is_lowered_no_further_than_it_must(
    scores: list[float], expected: float
) -> None:
    assert threshold_for(Pictures("x", 1, [found(s) for s in scores]), 3, 0.25) == expected


def test_a_row_counts_outcomes_at_its_threshold() -> None:
    some = Pictures("some", 2, [found(0.5), found(0.3, "big_gun"), found(0.3, "phone", 0.4)])
    more = Pictures("more", 3, [found(0.6), found(0.1, "small_gun")])
    counted = row([some, more], 0.25, "both")
    assert (counted.pictures, counted.crops) == (5, 4)
    assert (counted.rejected, counted.uncertain, counted.confirmed) == (2, 1, 1)
    assert counted.removed == 0.75
    assert [each.crops for each in rows_at([some, more], 0.4)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("looks", "alerts"),
    [("gn", 0), ("gg", 1), ("gng", 1), ("gnng", 0), ("gb", 1), ("ggnngg", 1)],
)
def test_two_of_three_looks_alert_whichever_gun_they_see(looks: str, alerts: int) -> None:
    kinds = {"g": "small_gun", "b": "big_gun", "n": "empty"}
    track = Track(0.0, 0, [found(0.5, kinds[each]) for each in looks])
    assert alerts_of(track) == alerts
