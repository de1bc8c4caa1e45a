"""Small statistics: shares with their counts and bounds, quantiles, curves. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959964
"""Of the normal distribution: 95 % lie within so many deviations."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, never without its counts."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """0..1; None where there was nothing to count."""
        return self.part / self.whole if self.whole else None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Where the true share lies with 95 % (Wilson 1927), if the cases are independent."""
        if not self.whole:
            return None
        n, p = self.whole, self.part / self.whole
        middle = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        reach = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def __str__(self) -> str:
        value = self.value
        return "none" if value is None else f"{100 * value:.1f} % ({self.part} of {self.whole})"


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the value that `part` of all do not exceed, interpolated; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold would give."""

    threshold: float
    recall: float
    precision: float


def precision_recall(scored: Sequence[tuple[float, bool]]) -> list[CurvePoint]:
    """Return the curve of a score, from the highest threshold to the lowest.

    Args:
        scored: (score, whether it should be high) of each case.
    """
    wanted = sum(good for _, good in scored)
    ordered = sorted(scored, key=lambda each: -each[0])
    points: list[CurvePoint] = []
    hits = 0
    for place, (score, good) in enumerate(ordered, 1):
        hits += good
        last_of_equals = place == len(ordered) or ordered[place][0] < score
        if last_of_equals and wanted:
            points.append(CurvePoint(score, hits / wanted, hits / place))
    return points


def average_precision(points: Sequence[CurvePoint]) -> float | None:
    """Return the area under a precision-recall curve, as a sum of steps; None without one."""
    if not points:
        return None
    before, area = 0.0, 0.0
    for point in points:
        area += (point.recall - before) * point.precision
        before = point.recall
    return area


@dataclass(frozen=True, slots=True)
class Bin:
    """Looks of about the same score."""

    low: float
    high: float
    count: int
    score: float
    """Their mean score."""
    right: float
    """The part of them that is right."""


def calibration(scored: Sequence[tuple[float, bool]], bins: int = 10) -> list[Bin]:
    """Return how often a score was right, by score; empty bins are left out."""
    found = []
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        last = number == bins - 1
        inside = [each for each in scored if low <= each[0] < high or (last and each[0] == high)]
        if inside:
            score = sum(value for value, _ in inside) / len(inside)
            right = sum(good for _, good in inside) / len(inside)
            found.append(Bin(low, high, len(inside), score, right))
    return found


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the mean distance of score and truth (expected calibration error)."""
    total = sum(each.count for each in bins)
    if not total:
        return None
    return sum(each.count * abs(each.score - each.right) for each in bins) / total
