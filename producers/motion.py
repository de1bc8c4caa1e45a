"""Whether enough of a picture has changed to be worth a look. No clock: time comes in."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from producers.polygons import Polygon, inside
from secondlook.config import Motion

WIDTH = 320
"""Pixels across of the grey picture that is compared."""
SECOND_NS = 1_000_000_000


class MotionGate:
    """Lets a frame pass when it differs from the last one that passed.

    Comparing with the last frame that passed, instead of the last one seen, lets slow
    motion add up until it counts.

    Args:
        settings: How much change counts, and the longest gap.
        zones: Only change within these counts; none: everywhere.
    """

    def __init__(self, settings: Motion, zones: Sequence[Polygon] = ()) -> None:
        self._settings = settings
        self._zones = zones
        self._area: NDArray[np.uint8] | None = None
        self._passed: NDArray[np.uint8] | None = None
        self._passed_ns = 0

    def passes(self, image: NDArray[np.uint8], media_ns: int) -> bool:
        """Return whether to send this frame.

        Args:
            image: uint8 [height, width, 3], BGR.
            media_ns: Its time within the run.
        """
        grey = small_grey(image)
        if not (self._is_due(media_ns) or self._differs(grey)):
            return False
        self._passed, self._passed_ns = grey, media_ns
        return True

    def restart(self) -> None:
        """Forget the last frame: a new run begins."""
        self._passed = None

    def _is_due(self, media_ns: int) -> bool:
        gap_ns = media_ns - self._passed_ns
        # A time that runs backwards must not close the gate for ever.
        return gap_ns < 0 or gap_ns >= self._settings.max_gap_s * SECOND_NS

    def _differs(self, grey: NDArray[np.uint8]) -> bool:
        before = self._passed
        if before is None or before.shape != grey.shape:
            return True
        changed = cv2.absdiff(before, grey) >= self._settings.threshold
        if self._zones:
            changed &= self._inside_zones(grey) > 0
        # Of the whole picture, so that the setting means the same with and without zones.
        return int(np.count_nonzero(changed)) > self._settings.min_area * grey.size

    def _inside_zones(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = grey.shape
        if self._area is None or self._area.shape != grey.shape:
            self._area = inside(self._zones, width, height)
        return self._area


def small_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a blurred grey picture, uint8 [height, width], at most `WIDTH` wide.

    Averaging over areas, then blurring, takes the sensor's noise out.
    """
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return cv2.blur(grey, (3, 3)).astype(np.uint8, copy=False)
