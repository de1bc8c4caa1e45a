"""What a detector finds at each threshold, and which threshold finds enough. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Marked = tuple[str, Box]
"""A label and where it is."""

THRESHOLDS = (
    *(0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    *(0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
)
FLOOR = THRESHOLDS[0]
"""Detections below it are not looked at."""
_SAME = 0.5
"""Intersection over union from which a detection is of a thing."""
_ELSEWHERE = 0.3
"""Intersection over union up to which a detection is of no thing."""


class Detection(NamedTuple):
    """Something that a detector found."""

    box: Box
    score: float
    label: str


class Tally(NamedTuple):
    """What was found on images: the material of the curve."""

    best: list[float]
    """The best score on each thing that should be found; 0 where nothing is."""
    false: list[float]
    """The score of each detection that is of nothing."""
    images: int

    @classmethod
    def of(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Return several tallies as one."""
        whole = cls([], [], 0)
        for tally in tallies:
            whole.best.extend(tally.best)
            whole.false.extend(tally.false)
            whole = whole._replace(images=whole.images + tally.images)
        return whole


class Point(NamedTuple):
    """What the detector does at a threshold."""

    min_score: float
    found: int
    things: int
    false_per_image: float

    @property
    def recall(self) -> float:
        """The part of the things that is found."""
        return self.found / max(self.things, 1)

    def line(self) -> str:
        """Return the point as a line for people."""
        return (f"score >= {self.min_score:.2f}: {self.found} of {self.things} found "
                f"({self.recall:.3f}), {self.false_per_image:.2f} false an image")  # fmt: skip


def same(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / max(both - shared, 1e-9)


def tally(wanted: Sequence[Marked], present: Sequence[Marked], found: Sequence[Detection]) -> Tally:
    """Return what the detections of one image are worth.

    Args:
        wanted: What should be found, once each.
        present: All that a detection may be of without being false; `wanted` is among it.
        found: The detections; one counts for a thing of its own label alone.
    """
    best = [
        max((d.score for d in found if d.label == label and same(d.box, box) >= _SAME), default=0.0)
        for label, box in wanted
    ]
    false = [
        d.score
        for d in found
        if all(d.label != label or same(d.box, box) < _ELSEWHERE for label, box in present)
    ]
    return Tally(best, false, 1)


def curve(whole: Tally) -> list[Point]:
    """Return the points of the curve, the lowest threshold first."""
    images = max(whole.images, 1)
    return [
        Point(t, sum(s >= t for s in whole.best), len(whole.best),
              round(sum(s >= t for s in whole.false) / images, 4))
        for t in THRESHOLDS
    ]  # fmt: skip


def choose(points: Sequence[Point], recall: float) -> Point:
    """Return the highest threshold that reaches this recall, or the lowest one if none does."""
    reached = [point for point in points if point.recall >= recall]
    return reached[-1] if reached else points[0]
