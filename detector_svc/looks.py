"""When a track is worth a look. Told the time and what was seen; sends nothing itself.

Every sighting is looked at until `n` looks are taken, so that the verdict can fall as early
as its rule allows. From then on one look per `relook_ns` for as long as the track lives,
whatever the verdicts were: a phone may become a gun. A thing that changes much is looked at
at once, at most `n` times within `relook_ns`, so that a flickering lamp costs no more than a
new track.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector_svc.tracks import Xyxy

Cause = Literal["new", "relook", "changed"]
Appearance = NDArray[np.uint8]
"""A tiny picture of the object, of one shape for all."""

SHAPE_CHANGED = 0.5
"""Overlap of the box with the one last looked at, laid on one centre, below which its size or
proportions have changed much: the side of a square by 1.4."""
APPEARANCE_CHANGED = 0.15
"""Mean difference of the tiny pictures, 0..1, from which they show another thing. On COCO, boxes
that jitter by 5 % of their size stay below 0.12 (99 of 100), and 90 of 100 pairs of different
objects lie above 0.15."""


@dataclass(slots=True, eq=False)
class TrackLooks:
    """The looks of one track."""

    n: int
    relook_ns: int
    taken: int = 0
    _media_ns: int = 0
    _box: Xyxy = (0.0, 0.0, 0.0, 0.0)
    _appearance: Appearance | None = None
    _changes: deque[int] = field(default_factory=deque)

    def due(self, media_ns: int, box: Xyxy, appearance: Appearance) -> Cause | None:
        """Return why this sighting deserves a look, or None."""
        if self.taken < self.n:
            return "new"
        if media_ns - self._media_ns >= self.relook_ns:
            return "relook"
        spent = len(self._changes) >= self.n and media_ns - self._changes[0] < self.relook_ns
        if not spent and self._changed(box, appearance):
            return "changed"
        return None

    @property
    def rank(self) -> tuple[int, int]:
        """Who comes first where not all can be looked at: the least.

        Tracks that have been begun, so that they can be judged at all; then new ones; then those
        that wait longest for another look.
        """
        if self.taken < self.n:
            return (0 if self.taken else 1), 0
        return 2, self._media_ns

    def take(self, cause: Cause, media_ns: int, box: Xyxy, appearance: Appearance) -> int:
        """Note that a look is taken; return its number, counted from 0."""
        number = self.taken
        self.taken += 1
        self._media_ns, self._box, self._appearance = media_ns, box, appearance
        if cause == "changed":
            self._changes.append(media_ns)
            if len(self._changes) > self.n:
                self._changes.popleft()
        return number

    def _changed(self, box: Xyxy, appearance: Appearance) -> bool:
        if same_shape(box, self._box) < SHAPE_CHANGED:
            return True
        return self._appearance is not None and (
            difference(appearance, self._appearance) >= APPEARANCE_CHANGED
        )


@dataclass(slots=True, eq=False)
class Budget:
    """How many looks a camera may still take; filled up as its media time goes on."""

    per_s: float
    """Also the most that can be saved up."""
    _run: str = ""
    _media_ns: int = 0
    _left: float = 0.0

    def fill(self, run: str, media_ns: int) -> None:
        """Take the time of the next frame."""
        if run != self._run:
            self._left = self.per_s
        else:
            self._left += self.per_s * (media_ns - self._media_ns) / 1e9
        self._run, self._media_ns = run, media_ns
        self._left = min(self._left, max(1.0, self.per_s))

    def has_one(self) -> bool:
        """Return whether another look may be taken."""
        return self._left >= 1

    def spend(self) -> None:
        """Note that a look is taken."""
        self._left -= 1


def same_shape(a: Xyxy, b: Xyxy) -> float:
    """Return the overlap, 0..1, of two boxes laid on one centre: where they are does not count."""
    (aw, ah), (bw, bh) = (a[2] - a[0], a[3] - a[1]), (b[2] - b[0], b[3] - b[1])
    both = min(aw, bw) * min(ah, bh)
    union = aw * ah + bw * bh - both
    return both / union if union > 0 else 1.0


def difference(a: Appearance, b: Appearance) -> float:
    """Return the mean difference of two tiny pictures, 0..1, apart from their brightness."""
    apart = a.astype(np.float32) - b.astype(np.float32)
    # A lamp that is switched on is no other thing.
    apart -= apart.mean()
    return float(np.abs(apart).mean()) / 255
