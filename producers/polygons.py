"""Polygons in fractions of a picture, as pixels. No files, no clock."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = Sequence[tuple[float, float]]
"""Corners as (x, y), each a fraction (0..1) of the picture's width and height."""


def inside(polygons: Iterable[Polygon], width: int, height: int) -> NDArray[np.uint8]:
    """Return uint8 [height, width]: 255 within any of the polygons, their edges included."""
    area = np.zeros((height, width), np.uint8)
    fill(area, polygons, 255)
    return area


def fill(image: NDArray[np.uint8], polygons: Iterable[Polygon], value: int) -> None:
    """Paint the polygons into an image, uint8 [height, width] or [height, width, 3], in place."""
    height, width = image.shape[:2]
    scale = np.array([width, height], np.float64)
    for polygon in polygons:
        # One by one: together, overlapping polygons would cut holes into each other.
        corners = np.round(np.asarray(polygon, np.float64) * scale).astype(np.int32)
        cv2.fillPoly(image, [corners], (value, value, value))
