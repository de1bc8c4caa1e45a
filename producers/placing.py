"""Where a card stands in a frame, and how it is drawn there. No clock, no files."""

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Card, Image, rasterise

Quad = npt.NDArray[np.float32]
"""(4, 2) float32: a card's corners in frame pixels, clockwise from its upper left one."""

_HEIGHTS = (48, 96, 192, 384)
"""Sizes in which cards are kept drawn: shrinking by more than 2 would show jagged edges."""


@lru_cache(maxsize=256)
def drawn(card: Card, height: int) -> Image:
    """Return the card at this height in pixels, as BGR; kept, so do not write into it."""
    return rasterise(card, height)


def quad_of(
    card: Card, centre: tuple[float, float], height: float, *, roll: float, yaw: float, pitch: float
) -> Quad:
    """Return the corners of a card that is held in front of a camera.

    Args:
        card: What is held.
        centre: Where its middle is seen, x and y in pixels.
        height: How high it would be seen unturned, in pixels.
        roll: Turn in the picture plane, clockwise, in degrees.
        yaw: Turn around its vertical axis, in degrees.
        pitch: Turn around its horizontal axis, in degrees.
    """
    across, up, plane = np.radians([yaw, pitch, roll])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64) / 2
    x, y = corners[:, 0] * card.width, corners[:, 1]
    x, depth = x * np.cos(across), x * np.sin(across)
    y, depth = y * np.cos(up) + depth * np.sin(up), depth * np.cos(up) - y * np.sin(up)
    # A pinhole four card heights away from the card's middle.
    nearer = 4 / (4 + depth)
    x, y = x * nearer * height, y * nearer * height
    turned = (x * np.cos(plane) - y * np.sin(plane), x * np.sin(plane) + y * np.cos(plane))
    return np.asarray(np.stack(turned, axis=1) + np.asarray(centre), np.float32)


def draw_card(frame: Image, card: Card, quad: Quad, *, light: float = 1.0) -> None:
    """Draw a card into `frame` (height, width, 3), in place; only its surroundings are touched."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    needed = max(sides[1], sides[3])
    height = next((size for size in _HEIGHTS if size >= needed * 0.9), _HEIGHTS[-1])
    picture = drawn(card, height)
    if light != 1.0:
        picture = np.asarray(cv2.convertScaleAbs(picture, alpha=light), np.uint8)
    paste(frame, picture, quad)


def paste(frame: Image, picture: Image, quad: Quad) -> None:
    """Draw `picture` (height, width, 3) into the quad of `frame`, in place, edges smooth."""
    left, top = np.floor(quad.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(quad.max(axis=0)).astype(int) + 2
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, frame.shape[1]), min(bottom, frame.shape[0])
    if right <= left or bottom <= top:
        return
    height, width = picture.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    onto = cv2.getPerspectiveTransform(corners, (quad - (left, top) - 0.5).astype(np.float32))
    size = (int(right - left), int(bottom - top))
    seen = cv2.warpPerspective(picture, onto, size, borderMode=cv2.BORDER_REPLICATE)
    region = frame[top:bottom, left:right]
    np.copyto(region, _blend(region, np.asarray(seen, np.uint8), quad - (left, top)))


def _blend(region: Image, seen: Image, quad: npt.NDArray[np.floating]) -> Image:
    mask = np.zeros(region.shape[:2], np.uint8)
    points = np.round((quad - 0.5) * 64).astype(np.int32)
    cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, 6)
    part = cv2.merge([mask, mask, mask])
    over = cv2.multiply(seen, part, scale=1 / 255)
    under = cv2.multiply(region, cv2.bitwise_not(part), scale=1 / 255)
    return np.asarray(cv2.add(over, under), np.uint8)


def visible_part(quad: Quad, width: int, height: int, behind: Iterable[Quad] = ()) -> float:
    """Return which part of the quad's area lies in the frame and under none of `behind`."""
    area = float(cv2.contourArea(quad))
    if area <= 0:
        return 0.0
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen, polygon = cv2.intersectConvexConvex(quad, frame)
    if seen <= 0:
        return 0.0
    covered = sum(cv2.intersectConvexConvex(polygon, other)[0] for other in behind)
    return max(float(seen) - covered, 0.0) / area


def box_of(quad: Quad, width: int, height: int) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of what is seen of the quad; None if nothing is."""
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen, polygon = cv2.intersectConvexConvex(quad, frame)
    if seen <= 0:
        return None
    (left, top), (right, bottom) = polygon.reshape(-1, 2).min(0), polygon.reshape(-1, 2).max(0)
    return float(left), float(top), float(right), float(bottom)
