"""Vehicles from above, drawn roughly: light bodies with dark panes look much like a card. Pure."""

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image

Corners = npt.NDArray[np.float64]

_CANVAS = 256
_SHARP = 8
"""Fractional bits of the corners given to OpenCV."""


def vehicle(random: np.random.Generator) -> Image:
    """Return (256, 256, 3) uint8 BGR: one vehicle on some ground, turned by chance, often cut off.

    The body is a rounded block; windscreen, rear window and side windows are dark, bonnet and
    roof lines a little darker than the body.
    """
    ground = random.uniform(40, 190) + random.uniform(-12, 12, 3)
    image = np.asarray(ground + random.normal(0, 5, (_CANVAS, _CANVAS, 3)), np.float32)
    body = random.uniform(170, 255, 1) + random.uniform(-12, 12, 3)
    if random.random() < 0.35:
        body = random.uniform(20, 230, 3)
    pane = random.uniform(10, 80, 1) + random.uniform(-8, 8, 3)
    length = random.uniform(0.7, 1.6)
    wide = length * random.uniform(0.38, 0.62)
    turn = _Turn(random)
    shadow = _rounded(wide * 1.05, length * 1.03, 0.35) + random.uniform(-0.05, 0.05, 2)
    turn.fill(image, shadow, ground * 0.55)
    turn.fill(image, _rounded(wide, length, random.uniform(0.15, 0.5)), body)
    front, roof = random.uniform(-0.22, -0.02), random.uniform(0.1, 0.3)
    for near, far in ((front - random.uniform(0.07, 0.2), front), (roof, roof + 0.12)):
        half = wide * np.array([random.uniform(0.3, 0.46), random.uniform(0.3, 0.42)])
        corners = [(-half[0], near), (half[0], near), (half[1], far), (-half[1], far)]
        if random.random() < 0.9:
            turn.fill(image, np.array(corners) * [1, length], pane)
    for side in (-1, 1):
        strip = np.array([(0.42, front), (0.47, front), (0.47, roof), (0.42, roof)])
        if random.random() < 0.7:
            turn.fill(image, strip * [side * wide, length], pane)
        mirror = np.array([(0.5, front), (0.6, front + 0.02), (0.6, front + 0.05), (0.5, front)])
        turn.fill(image, mirror * [side * wide, length], body * 0.9)
    if random.random() < 0.5:
        spot = np.array([(-0.03, 0), (0.03, 0), (0.03, 0.02), (-0.03, 0.02)])
        turn.fill(image, spot + random.uniform(-0.1, 0.1, 2), pane)
    lit = np.linspace(random.uniform(0.8, 1.2), random.uniform(0.8, 1.2), _CANVAS)[:, None, None]
    blurred = cv2.GaussianBlur(image * lit, (0, 0), random.uniform(0.6, 1.8))
    return np.asarray(np.clip(blurred, 0, 255), np.uint8)


def _rounded(wide: float, length: float, power: float) -> Corners:
    """Return a superellipse as (n, 2) corners: the smaller `power`, the squarer."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    rounded = np.stack([np.sign(x) * np.abs(x) ** power, np.sign(y) * np.abs(y) ** power], axis=1)
    return np.asarray(rounded * [wide / 2, length / 2])


class _Turn:
    """Where a vehicle lies, and how it is turned and seen."""

    def __init__(self, random: np.random.Generator) -> None:
        angle = random.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + random.normal(0, 0.35)
        cos, sin = np.cos(angle), np.sin(angle)
        lean = np.array([[1, random.normal(0, 0.08)], [0, random.uniform(0.75, 1.05)]])
        self._onto = lean @ np.array([[cos, -sin], [sin, cos]]) * _CANVAS
        self._middle = _CANVAS / 2 + random.normal(0, 0.12 * _CANVAS, 2)

    def fill(
        self, image: npt.NDArray[np.float32], corners: Corners, colour: npt.NDArray[np.float64]
    ) -> None:
        """Fill a polygon of (n, 2) corners, in parts of the canvas around the vehicle."""
        points = corners @ self._onto.T + self._middle
        shade = tuple(float(value) for value in np.broadcast_to(colour, 3))
        cv2.fillPoly(
            image, [np.round(points * 2**_SHARP).astype(np.int32)], shade, cv2.LINE_AA, _SHARP
        )
