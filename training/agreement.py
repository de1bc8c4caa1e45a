"""Whether two forms of one model say the same of the same pictures. No files, no servers."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector_svc.yolo import Detections

BOX_PX, SCORE = 0.5, 1e-3
"""How far boxes (canvas pixels) and scores of two forms may be apart."""
COMPARED_FROM = 0.01
"""Candidates from this score on are compared..."""
AT_LEAST = 100
"""...and never fewer than so many of a picture, so that an empty street proves something, too."""


@dataclass(slots=True)
class Agreement:
    """The largest differences over all pictures so far."""

    pictures: int = 0
    compared: int = 0
    """Boxes, or rows of scores."""
    box_px: float = 0.0
    score: float = 0.0
    has_boxes: bool = False

    @property
    def good(self) -> bool:
        """Whether both stayed within what is allowed, and there was something to compare."""
        return self.compared > 0 and self.box_px <= BOX_PX and self.score <= SCORE

    def add_boxes(self, original: Detections, fused: Detections) -> None:
        """Compare one picture's candidates before NMS, each best first.

        Args:
            original: At least as many as are compared.
            fused: The best of them.
        """
        self.pictures += 1
        self.has_boxes = True
        known = int((fused.scores >= COMPARED_FROM).sum())
        # A fused graph answers no more than its best, however many candidates count.
        count = min(max(known, AT_LEAST), len(fused))
        self.compared += count
        if len(original) < count or len(original) > 0 == len(fused):
            self.score = math.inf
            return
        if not count:
            return
        apart = np.abs(original.scores[:count] - fused.scores[:count])
        self.score = max(self.score, float(apart.max()))
        self.box_px = max(self.box_px, _furthest(original, fused[:count]))

    def add_scores(self, original: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        """Compare one picture's scores, shape (labels,) each."""
        self.pictures += 1
        self.compared += 1
        apart = np.abs(np.asarray(original, np.float64) - np.asarray(other, np.float64))
        largest = float(apart.max()) if original.shape == other.shape else math.inf
        # A NaN is no agreement.
        self.score = max(self.score, largest) if np.isfinite(largest) else math.inf

    def __str__(self) -> str:
        boxes = f"boxes within {self.box_px:.2g} px, " if self.has_boxes else ""
        return f"{boxes}scores within {self.score:.2g}"


def _furthest(original: Detections, fused: Detections) -> float:
    """Return how far the worst box is from the nearest one of its score and label.

    Candidates whose scores are equal but for rounding may change places, so that ranks do not
    tell which box belongs to which.
    """
    worst = 0.0
    for begin in range(0, len(fused), 100):
        part = fused[begin : begin + 100]
        same = np.abs(part.scores[:, None] - original.scores) <= SCORE
        same &= part.labels[:, None] == original.labels
        distance = np.abs(part.boxes[:, None] - original.boxes).max(axis=2)
        nearest = np.where(same, distance, np.inf).min(axis=1)
        worst = max(worst, float(nearest.max()))
    return worst
