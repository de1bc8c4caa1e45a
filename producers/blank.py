"""Whether a camera still shows the world, or a black or frozen picture. No clock."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
DARK = 24
"""Grey values up to this count as black; video black is 16, and sensors add noise."""
BRIGHT_PART = 0.001
"""So much of a picture may be brighter and it is still black: a dead pixel, a clock."""
STEP = 8
"""Every so many rows and columns are enough to see that a picture has changed, or is dark."""


@dataclass(slots=True)
class BlankWatch:
    """Says why a camera is blind, once its picture has been blank for `after_s`."""

    after_s: float
    may_stand_still: bool = False
    """For sources that are drawn or photographs, which stand still by nature."""
    _last: NDArray[np.uint8] | None = None
    _changed_ns: int = 0
    _lit_ns: int = 0

    def blind(self, image: NDArray[np.uint8], media_ns: int) -> str | None:
        """Take one picture in; return why it counts as blind, or None.

        Args:
            image: uint8 [height, width, 3]; kept, so nobody may write to it afterwards.
            media_ns: Its time within the run.
        """
        if self._last is None:
            self._changed_ns = self._lit_ns = media_ns
        if not is_black(image):
            self._lit_ns = media_ns
        if self._last is None or not same(self._last, image):
            self._changed_ns = media_ns
        self._last = image
        limit_ns = self.after_s * SECOND_NS
        if media_ns - self._lit_ns >= limit_ns:
            return f"its picture has been black for {self.after_s:g} s"
        if not self.may_stand_still and media_ns - self._changed_ns >= limit_ns:
            return f"its picture has not changed at all for {self.after_s:g} s"
        return None

    def restart(self) -> None:
        """Forget the last picture: a new run begins."""
        self._last = None


def is_black(image: NDArray[np.uint8]) -> bool:
    """Return whether nearly nothing of a picture is brighter than `DARK`."""
    sample: NDArray[np.uint8] = image[::STEP, ::STEP].max(axis=2)
    return int(np.count_nonzero(sample > DARK)) <= BRIGHT_PART * sample.size


def same(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Return whether two pictures are equal in every pixel.

    A living sensor's noise changes pixels from frame to frame, so nothing less than all
    of them counts. A few rows answer for nearly every pair.
    """
    if before.shape != after.shape or not np.array_equal(before[::STEP], after[::STEP]):
        return False
    return bool(np.array_equal(before, after))
