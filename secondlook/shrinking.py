"""Makes pictures smaller, at a cost that does not depend on the sizes. No I/O."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, 3) uint8."""


def shrunk_size(image: Image, max_width: int) -> tuple[int, int]:
    """Return width and height of a picture that is made at most so wide; never larger."""
    height, width = image.shape[:2]
    if width <= max_width:
        return width, height
    return max_width, max(1, round(height * max_width / width))


def shrunk(image: Image, max_width: int, into: Image | None = None) -> Image:
    """Return a picture at most so wide; never a larger one.

    OpenCV averages areas ten times faster where they are whole pixels, so it does as much as it
    can by a whole number, and the rest, which is less than a half, between the pixels.

    Args:
        image: Not changed, and not returned itself.
        max_width: Pixels, at least 1. The height keeps the proportion, and at least one pixel.
        into: Where to write it, of the size that `shrunk_size` says; default: new memory.
    """
    size = shrunk_size(image, max_width)
    if into is None:
        into = np.empty((size[1], size[0], 3), np.uint8)
    height, width = image.shape[:2]
    if width <= max_width:
        np.copyto(into, image)
        return into
    times = min(width // max_width, height)
    if times > 1:
        part = image[: height // times * times, : width // times * times]
        whole = width // times, height // times
        image = np.asarray(cv2.resize(part, whole, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(image, size, dst=into, interpolation=cv2.INTER_LINEAR)
    return into
