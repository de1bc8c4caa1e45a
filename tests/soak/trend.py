"""Whether a series of measurements grows. Pure: times are seconds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

HOUR_S = 3600.0
FEWEST = 60
"""Measurements after the warm-up; of fewer no slope is believed."""
Verdict = Literal["flat", "growing", "too short"]
Point = tuple[float, float]
"""When, and what was measured."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a series went after the warm-up."""

    first: float
    """Median of its first tenth."""
    last: float
    """Median of its last tenth."""
    highest: float
    per_hour: float
    """The slope of all of it."""
    late_per_hour: float
    """The slope of its second half: what only settles has a small one."""
    verdict: Verdict


def slope(points: Sequence[Point]) -> float:
    """Return the median of the slopes between all pairs (Theil-Sen): up to 29 % outliers are borne.

    Args:
        points: At least two, at different times.
    """
    return statistics.median(
        (later - earlier) / (at - before)
        for (before, earlier), (at, later) in combinations(points, 2)
    )


def trend_of(points: Sequence[Point], bound_per_hour: float) -> Trend:
    """Return how a series went.

    It grows if it rises by more than the bound both as a whole and in its second half. A leak
    goes on; a cache that fills up, or a heap that finds its size, does not.

    Args:
        points: After the warm-up, in order; at least four.
        bound_per_hour: What is borne.
    """
    values = [value for _, value in points]
    tenth = max(1, len(values) // 10)
    whole, late = slope(points) * HOUR_S, slope(points[len(points) // 2 :]) * HOUR_S
    verdict: Verdict = "growing" if min(whole, late) > bound_per_hour else "flat"
    return Trend(
        first=statistics.median(values[:tenth]),
        last=statistics.median(values[-tenth:]),
        highest=max(values),
        per_hour=whole,
        late_per_hour=late,
        verdict=verdict if len(points) >= FEWEST else "too short",
    )
