"""What the pictures on the cards are made of: polygons and strokes in unit coordinates. No pixels.

Every picture is drawn for a card of height 1; wide ones for a width of 4/3, tall ones of 3/4.
"""

import math
from typing import NamedTuple

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""
Points = tuple[tuple[float, float], ...]


class Shape(NamedTuple):
    """A filled polygon, or a stroke along its points if `stroke` (a thickness) is not 0."""

    points: Points
    colour: Colour
    stroke: float = 0.0


Shapes = tuple[Shape, ...]

PAPERS: tuple[tuple[Colour, Colour, float], ...] = (
    ((252, 252, 250), (40, 40, 44), 0.012),
    ((250, 246, 232), (120, 96, 70), 0.016),
    ((244, 248, 252), (50, 70, 120), 0.014),
    ((255, 255, 255), (170, 170, 170), 0.010),
    ((250, 250, 248), (0, 0, 0), 0.0),
)
"""Paper, border and the border's thickness of each card style."""

BLACK, STEEL, GREY, PALE = (24, 24, 28), (66, 70, 78), (128, 134, 142), (206, 210, 214)
BROWN, TAN, OLIVE, NAVY = (112, 66, 34), (168, 124, 78), (78, 84, 52), (30, 44, 84)
RED, BLUE, GREEN, VIOLET, YELLOW = (
    (196, 40, 44), (36, 96, 190), (40, 140, 88), (120, 60, 150), (236, 178, 40),
)  # fmt: skip


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Return a rectangle."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def arc(
    centre: tuple[float, float], radii: tuple[float, float], start: float, end: float, steps: int
) -> Points:
    """Return points on an ellipse from `start` to `end` degrees, clockwise from the right."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return tuple(
        (centre[0] + radii[0] * math.cos(angle), centre[1] + radii[1] * math.sin(angle))
        for angle in angles
    )


def disc(x: float, y: float, radius: float) -> Points:
    """Return a circle."""
    return arc((x, y), (radius, radius), 0, 360, 24)


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> Points:
    """Return a rectangle with round corners."""
    corners = (
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    )
    return tuple(
        point
        for x, y, start in corners
        for point in arc((x, y), (radius, radius), start, start + 90, 6)
    )


def _moved(shapes: Shapes, right: float, down: float, scale: float = 1.0) -> Shapes:
    return tuple(
        Shape(
            tuple((x * scale + right, y * scale + down) for x, y in shape.points),
            shape.colour,
            shape.stroke * scale,
        )
        for shape in shapes
    )


def mirrored(shapes: Shapes, width: float) -> Shapes:
    """Turn left into right on a card of this width."""
    return tuple(s._replace(points=tuple((width - x, y) for x, y in s.points)) for s in shapes)


def turned(shapes: Shapes, degrees: float, centre_x: float, centre_y: float = 0.5) -> Shapes:
    """Turn clockwise around a point."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def turn(x: float, y: float) -> tuple[float, float]:
        across, down = x - centre_x, y - centre_y
        return (centre_x + across * cos - down * sin, centre_y + across * sin + down * cos)

    return tuple(s._replace(points=tuple(turn(x, y) for x, y in s.points)) for s in shapes)


def upright(shapes: Shapes, width: float) -> Shapes:
    """Fit a wide picture onto a tall card, pointing up and a little aside."""
    return _moved(turned(shapes, 68, width / 2), 3 / 8 - width / 2 * 0.68, 0.16, 0.68)


def lying(shapes: Shapes) -> Shapes:
    """Lay a tall picture on its side on a wide card."""
    return _moved(turned(shapes, 90, 3 / 8), 2 / 3 - 3 / 8, 0.0)


def centred(shapes: Shapes, width: float, scale: float = 1.0) -> Shapes:
    """Move a picture of the other card shape to the middle of a card of this width."""
    drawn_for = 3 / 4 if width > 1 else 4 / 3
    return _moved(shapes, width / 2 - drawn_for / 2 * scale, 0.5 - 0.5 * scale, scale)
