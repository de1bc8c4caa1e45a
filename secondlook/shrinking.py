"""Makes pictures smaller, at a cost that does not depend on the sizes. No I/O."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, 3) uint8."""


def shrunk(image: Image, max_width: int) -> Image:
    """Return a picture at most so wide; never a larger one.

    OpenCV averages areas ten times faster where they are whole pixels, so it does as much as it
    can by a whole number, and the rest, which is less than a half, between the pixels.

    Args:
        image: Not changed, and not returned itself.
        max_width: Pixels, at least 1. The height keeps the proportion, and at least one pixel.
    """
    height, width = image.shape[:2]
    if width <= max_width:
        return image.copy()
    size = max_width, max(1, round(height * max_width / width))
    times = min(width // max_width, height)
    if times > 1:
        part = image[: height // times * times, : width // times * times]
        whole = width // times, height // times
        image = np.asarray(cv2.resize(part, whole, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
