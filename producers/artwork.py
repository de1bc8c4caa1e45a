"""The pictures on the cards: polygons and strokes in unit coordinates. Data, no pixels.

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

_BLACK, _STEEL, _GREY, _PALE = (24, 24, 28), (66, 70, 78), (128, 134, 142), (206, 210, 214)
_BROWN, _TAN, _OLIVE, _NAVY = (112, 66, 34), (168, 124, 78), (78, 84, 52), (30, 44, 84)
_RED, _BLUE, _GREEN, _VIOLET, _YELLOW = (
    (196, 40, 44), (36, 96, 190), (40, 140, 88), (120, 60, 150), (236, 178, 40),
)  # fmt: skip


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _arc(
    centre: tuple[float, float], radii: tuple[float, float], start: float, end: float, steps: int
) -> Points:
    """Return points on an ellipse from `start` to `end` degrees, clockwise from the right."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return tuple(
        (centre[0] + radii[0] * math.cos(angle), centre[1] + radii[1] * math.sin(angle))
        for angle in angles
    )


def _disc(x: float, y: float, radius: float) -> Points:
    return _arc((x, y), (radius, radius), 0, 360, 24)


def _rounded(left: float, top: float, right: float, bottom: float, radius: float) -> Points:
    corners = (
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    )
    return tuple(
        point
        for x, y, start in corners
        for point in _arc((x, y), (radius, radius), start, start + 90, 6)
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


def pistol(style: int = 0) -> Shapes:
    """Return a self-loading pistol that points left."""
    slide, frame, grip = (
        (_STEEL, _BLACK, _GREY),
        (_BLACK, _STEEL, _BLACK),
        (_GREY, _STEEL, _BROWN),
    )[style]
    lines = [Shape(((x, 0.25), (x, 0.39)), frame, 0.010) for x in (0.98, 1.02, 1.06, 1.10)]
    ribs = [
        Shape(((0.93 + d, 0.58 + 2.2 * d), (1.06 + d, 0.55 + 2.2 * d)), frame, 0.010)
        for d in (0.0, 0.03, 0.06, 0.09)
    ]
    return (
        Shape(((0.20, 0.40), (1.16, 0.40), (1.20, 0.45), (1.10, 0.49), (1.24, 0.87), (1.22, 0.90),
               (0.98, 0.92), (0.95, 0.89), (0.87, 0.58), (0.72, 0.58), (0.66, 0.49), (0.20, 0.49)),
              frame),
        Shape(((0.91, 0.55), (1.08, 0.52), (1.19, 0.84), (1.00, 0.86)), grip),
        *ribs,
        Shape(((0.13, 0.22), (1.13, 0.22), (1.17, 0.27), (1.17, 0.41), (0.13, 0.41)), slide),
        Shape(_box(0.62, 0.25, 0.82, 0.31), _PALE),
        Shape(_box(0.17, 0.18, 0.21, 0.22), frame),
        Shape(_box(1.06, 0.175, 1.12, 0.22), frame),
        Shape(((0.16, 0.36), (0.60, 0.36)), frame, 0.012),
        *lines,
        Shape(((0.60, 0.48), (0.58, 0.60), (0.64, 0.68), (0.82, 0.68), (0.89, 0.60)), frame, 0.032),
        Shape(((0.76, 0.50), (0.74, 0.56), (0.71, 0.62)), frame, 0.026),
    )  # fmt: skip


def revolver(style: int = 0) -> Shapes:
    """Return a revolver that points left."""
    steel, dark, grip = ((_STEEL, _BLACK, _BROWN), (_GREY, _STEEL, _BLACK))[style]
    flutes = [Shape(_rounded(0.63, y, 0.82, y + 0.04, 0.018), dark) for y in (0.27, 0.35, 0.43)]
    return (
        Shape(_box(0.10, 0.25, 0.64, 0.36), steel),
        Shape(((0.24, 0.36), (0.62, 0.36), (0.62, 0.43), (0.28, 0.43)), dark),
        Shape(((0.11, 0.20), (0.17, 0.20), (0.21, 0.25), (0.11, 0.25)), dark),
        Shape(((0.56, 0.20), (0.98, 0.20), (1.04, 0.30), (1.00, 0.54), (0.56, 0.54)), dark),
        Shape(_rounded(0.60, 0.22, 0.86, 0.52, 0.03), steel),
        *flutes,
        Shape(((0.98, 0.22), (1.07, 0.12), (1.12, 0.15), (1.04, 0.32)), dark),
        Shape(((0.90, 0.46), (1.02, 0.34), (1.12, 0.48), (1.22, 0.72), (1.24, 0.88), (1.04, 0.90),
               (1.00, 0.72)), grip),
        Shape(_disc(1.07, 0.62, 0.022), _PALE),
        Shape(((0.64, 0.53), (0.66, 0.66), (0.76, 0.71), (0.88, 0.67), (0.94, 0.54)), dark, 0.030),
        Shape(((0.80, 0.53), (0.80, 0.58), (0.76, 0.64)), dark, 0.026),
    )  # fmt: skip


def pocket_pistol() -> Shapes:
    """Return a short pistol that points left, drawn in outline."""
    return (
        Shape(((0.30, 0.27), (1.02, 0.27), (1.07, 0.33), (1.07, 0.45), (0.30, 0.45)), _NAVY),
        Shape(((0.34, 0.45), (1.08, 0.45), (1.00, 0.55), (1.10, 0.84), (0.86, 0.88), (0.78, 0.60),
               (0.64, 0.60), (0.60, 0.53), (0.34, 0.53)), _NAVY),
        Shape(((0.88, 0.58), (0.97, 0.57), (1.04, 0.79), (0.92, 0.81)), _PALE),
        Shape(((0.34, 0.32), (0.98, 0.32)), _PALE, 0.014),
        Shape(((0.34, 0.40), (0.80, 0.40)), _PALE, 0.014),
        Shape(_box(0.33, 0.235, 0.37, 0.27), _NAVY),
        Shape(((0.54, 0.52), (0.53, 0.64), (0.60, 0.69), (0.74, 0.69), (0.80, 0.61)), _NAVY, 0.034),
        Shape(((0.69, 0.53), (0.66, 0.62)), _NAVY, 0.028),
    )  # fmt: skip


def rifle(style: int = 0) -> Shapes:
    """Return a rifle with a curved magazine and a wooden stock, pointing left."""
    steel, wood = ((_BLACK, _BROWN), (_STEEL, _TAN))[style]
    return (
        Shape(_box(0.05, 0.420, 0.42, 0.450), steel),
        Shape(_box(0.30, 0.375, 0.44, 0.400), steel),
        Shape(((0.10, 0.33), (0.13, 0.33), (0.15, 0.43), (0.09, 0.43)), steel),
        Shape(((0.36, 0.36), (0.62, 0.37), (0.62, 0.48), (0.36, 0.47)), wood),
        Shape(((0.40, 0.415), (0.58, 0.42)), steel, 0.014),
        Shape(((0.58, 0.35), (0.96, 0.37), (1.00, 0.40), (1.00, 0.49), (0.58, 0.49)), steel),
        Shape(_box(0.78, 0.395, 0.92, 0.425), _GREY),
        Shape(((0.60, 0.30), (0.64, 0.30), (0.66, 0.36), (0.58, 0.36)), steel),
        Shape(((0.61, 0.48), (0.75, 0.48), (0.74, 0.60), (0.69, 0.70), (0.60, 0.79), (0.50, 0.72),
               (0.57, 0.64), (0.61, 0.56)), steel),
        Shape(((0.62, 0.56), (0.73, 0.58)), _GREY, 0.010),
        Shape(((0.60, 0.63), (0.71, 0.67)), _GREY, 0.010),
        Shape(((0.86, 0.48), (0.95, 0.48), (1.02, 0.69), (0.93, 0.71)), wood),
        Shape(((0.76, 0.49), (0.77, 0.57), (0.88, 0.58)), steel, 0.018),
        Shape(((0.82, 0.49), (0.80, 0.55)), steel, 0.016),
        Shape(((0.99, 0.40), (1.27, 0.46), (1.29, 0.64), (1.24, 0.66), (1.00, 0.50)), wood),
        Shape(((1.27, 0.46), (1.29, 0.64)), steel, 0.016),
    )  # fmt: skip


def carbine(style: int = 0) -> Shapes:
    """Return a carbine with a carrying handle and a straight magazine, pointing left."""
    dark, mid = ((_BLACK, _STEEL), (_OLIVE, _BLACK))[style]
    vents = [Shape(_box(x, 0.425, x + 0.03, 0.445), _PALE) for x in (0.32, 0.38, 0.44, 0.50)]
    return (
        Shape(_box(0.05, 0.43, 0.30, 0.455), dark),
        Shape(_box(0.05, 0.415, 0.12, 0.47), mid),
        Shape(((0.22, 0.34), (0.25, 0.34), (0.28, 0.43), (0.20, 0.43)), dark),
        Shape(_rounded(0.28, 0.395, 0.58, 0.495, 0.02), mid),
        *vents,
        Shape(((0.57, 0.39), (0.92, 0.39), (0.96, 0.43), (0.96, 0.50), (0.57, 0.52)), dark),
        Shape(((0.60, 0.39), (0.62, 0.32), (0.86, 0.30), (0.90, 0.39)), dark),
        Shape(((0.66, 0.375), (0.67, 0.345), (0.82, 0.335), (0.84, 0.375)), (250, 250, 250)),
        Shape(_box(0.72, 0.43, 0.82, 0.46), _GREY),
        Shape(((0.59, 0.51), (0.71, 0.51), (0.68, 0.74), (0.56, 0.72)), mid),
        Shape(((0.61, 0.54), (0.58, 0.71)), dark, 0.010),
        Shape(((0.65, 0.54), (0.62, 0.72)), dark, 0.010),
        Shape(((0.83, 0.50), (0.92, 0.50), (0.99, 0.70), (0.90, 0.72)), dark),
        Shape(((0.72, 0.52), (0.74, 0.58), (0.85, 0.58)), dark, 0.016),
        Shape(((0.79, 0.51), (0.77, 0.56)), dark, 0.014),
        Shape(_box(0.95, 0.425, 1.08, 0.475), dark),
        Shape(((1.04, 0.40), (1.27, 0.40), (1.28, 0.62), (1.23, 0.63), (1.14, 0.50), (1.04, 0.50)),
              mid),
        Shape(((1.10, 0.45), (1.22, 0.45)), dark, 0.012),
    )  # fmt: skip


def shotgun() -> Shapes:
    """Return a pump-action shotgun, pointing left."""
    grooves = [Shape(((x, 0.46), (x, 0.54)), _BLACK, 0.010) for x in (0.36, 0.40, 0.44, 0.48, 0.52)]
    return (
        Shape(_box(0.05, 0.400, 0.80, 0.440), _BLACK),
        Shape(_box(0.12, 0.450, 0.70, 0.490), _STEEL),
        Shape(_rounded(0.32, 0.445, 0.56, 0.555, 0.03), _BROWN),
        *grooves,
        Shape(((0.66, 0.39), (0.94, 0.39), (1.00, 0.43), (1.00, 0.51), (0.66, 0.53)), _BLACK),
        Shape(_box(0.74, 0.42, 0.86, 0.46), _GREY),
        Shape(((0.98, 0.42), (1.10, 0.50), (1.28, 0.52), (1.29, 0.70), (1.10, 0.64), (1.03, 0.62),
               (0.94, 0.53)), _BROWN),
        Shape(((1.28, 0.52), (1.29, 0.70)), _BLACK, 0.020),
        Shape(((0.80, 0.53), (0.82, 0.61), (0.92, 0.61), (0.95, 0.54)), _BLACK, 0.018),
        Shape(((0.88, 0.53), (0.86, 0.59)), _BLACK, 0.014),
        Shape(_box(0.06, 0.375, 0.09, 0.40), _RED),
    )  # fmt: skip


def scoped_rifle() -> Shapes:
    """Return a hunting rifle with a telescopic sight, pointing left."""
    return (
        Shape(_box(0.04, 0.450, 0.62, 0.478), _BLACK),
        Shape(((0.34, 0.47), (0.98, 0.47), (1.06, 0.50), (1.28, 0.52), (1.29, 0.70), (1.08, 0.62),
               (1.00, 0.66), (0.94, 0.57), (0.34, 0.53)), _BROWN),
        Shape(_box(0.58, 0.43, 0.92, 0.485), _BLACK),
        Shape(_box(0.54, 0.335, 0.92, 0.385), _STEEL),
        Shape(((0.46, 0.31), (0.56, 0.33), (0.56, 0.39), (0.46, 0.41)), _STEEL),
        Shape(((0.90, 0.33), (0.99, 0.32), (0.99, 0.40), (0.90, 0.39)), _STEEL),
        Shape(_box(0.62, 0.38, 0.66, 0.44), _BLACK),
        Shape(_box(0.80, 0.38, 0.84, 0.44), _BLACK),
        Shape(((0.88, 0.46), (0.96, 0.52)), _GREY, 0.020),
        Shape(_disc(0.97, 0.53, 0.022), _GREY),
        Shape(((0.80, 0.54), (0.81, 0.61), (0.91, 0.62), (0.94, 0.57)), _BLACK, 0.016),
        Shape(((0.86, 0.55), (0.85, 0.60)), _BLACK, 0.014),
        Shape(((1.28, 0.52), (1.29, 0.70)), _BLACK, 0.018),
    )  # fmt: skip


def phone_front(style: int = 0) -> Shapes:
    """Return a phone's front with rows of app icons, upright."""
    body, screen, tones = (
        (_BLACK, (56, 92, 150), (_YELLOW, _GREEN, _RED, _PALE)),
        (_STEEL, (232, 236, 242), (_BLUE, _VIOLET, _GREEN, _RED)),
        ((20, 30, 40), (24, 34, 48), (_PALE, _BLUE, _YELLOW, _GREEN)),
    )[style]
    icons = [
        Shape(_rounded(x, y, x + 0.075, y + 0.075, 0.016), tones[(row + 2 * column) % len(tones)])
        for row, y in enumerate((0.24, 0.36, 0.48, 0.60))
        for column, x in enumerate((0.235, 0.3375, 0.44))
    ]
    return (
        Shape(_rounded(0.175, 0.07, 0.575, 0.93, 0.05), body),
        Shape(_rounded(0.20, 0.13, 0.55, 0.87, 0.015), screen),
        *icons,
        Shape(((0.33, 0.10), (0.42, 0.10)), _GREY, 0.014),
        Shape(_box(0.22, 0.76, 0.53, 0.84), tones[3]),
        Shape(_disc(0.375, 0.90, 0.018), _GREY),
    )


def phone_back() -> Shapes:
    """Return a phone's back with its cameras, upright."""
    lenses = [(0.265, 0.175), (0.265, 0.275), (0.345, 0.225)]
    return (
        Shape(_rounded(0.165, 0.07, 0.585, 0.93, 0.06), _NAVY),
        Shape(_rounded(0.185, 0.09, 0.565, 0.91, 0.05), (58, 78, 128)),
        Shape(_rounded(0.205, 0.115, 0.41, 0.335, 0.04), _NAVY),
        *(Shape(_disc(x, y, 0.040), _BLACK) for x, y in lenses),
        *(Shape(_disc(x, y, 0.022), _GREY) for x, y in lenses),
        Shape(_disc(0.375, 0.165, 0.014), _YELLOW),
        Shape(_disc(0.375, 0.56, 0.050), _PALE),
        Shape(((0.32, 0.84), (0.43, 0.84)), _PALE, 0.014),
    )


def phone_keys() -> Shapes:
    """Return an old phone with a keypad and an aerial, upright."""
    keys = [
        Shape(_rounded(x, y, x + 0.085, y + 0.050, 0.018), _PALE)
        for y in (0.565, 0.640, 0.715, 0.790)
        for x in (0.235, 0.3325, 0.43)
    ]
    return (
        Shape(_rounded(0.485, 0.03, 0.545, 0.20, 0.025), _BLACK),
        Shape(_rounded(0.185, 0.11, 0.565, 0.94, 0.07), _STEEL),
        Shape(_rounded(0.225, 0.20, 0.525, 0.45, 0.02), (150, 178, 130)),
        Shape(((0.26, 0.27), (0.44, 0.27)), _BLACK, 0.018),
        Shape(((0.26, 0.33), (0.49, 0.33)), _BLACK, 0.018),
        Shape(((0.32, 0.155), (0.43, 0.155)), _BLACK, 0.014),
        Shape(_rounded(0.30, 0.475, 0.45, 0.535, 0.025), _BLUE),
        *keys,
    )


def phone_call() -> Shapes:
    """Return a phone that takes a call, upright."""
    return (
        Shape(_rounded(0.165, 0.07, 0.585, 0.93, 0.06), _BLACK),
        Shape(_rounded(0.185, 0.095, 0.565, 0.905, 0.04), (40, 52, 72)),
        Shape(_disc(0.375, 0.30, 0.090), _TAN),
        Shape(_arc((0.375, 0.50), (0.15, 0.13), 180, 360, 16), _PALE),
        Shape(((0.28, 0.60), (0.47, 0.60)), _PALE, 0.022),
        Shape(_disc(0.275, 0.76, 0.055), _RED),
        Shape(_disc(0.475, 0.76, 0.055), _GREEN),
        Shape(((0.245, 0.77), (0.305, 0.77)), (250, 250, 250), 0.022),
        Shape(((0.455, 0.74), (0.465, 0.77), (0.495, 0.785)), (250, 250, 250), 0.020),
    )


def umbrella_open(style: int = 0) -> Shapes:
    """Return an open umbrella with a hooked handle."""
    first, second = (
        (_RED, (226, 96, 92)),
        (_BLUE, (240, 240, 244)),
        (_BLACK, _STEEL),
        (_VIOLET, _YELLOW),
    )[style]
    centre, middle = 2 / 3, 0.50
    hem = [
        point
        for scallop in (0.4, 0.2, 0.0, -0.2, -0.4)
        for point in _arc((centre + scallop, middle + 0.01), (0.1, 0.055), 0, -180, 8)
    ]
    top = _arc((centre, middle + 0.01), (0.5, 0.40), 180, 360, 32)
    # Panels narrow towards the tip: each is bounded by two ellipses through it.
    panels = [
        Shape(
            (
                *_arc((centre, middle - 0.02), (0.5 * outer, 0.37), 270, side, 12),
                *_arc((centre, middle - 0.02), (0.5 * inner, 0.37), side, 270, 12),
            ),
            second,
        )
        for outer, inner, side in ((0.6, 0.2, 180), (0.6, 0.2, 360))
    ]
    hook = _arc((centre - 0.07, 0.84), (0.07, 0.07), 0, 180, 12)
    return (
        Shape(((centre, 0.06), (centre, 0.13)), _BLACK, 0.022),
        Shape(((centre, 0.40), (centre, 0.84), *hook), _BROWN if style else _BLACK, 0.032),
        Shape((*top, *hem), first),
        *panels,
        Shape(_arc((centre, middle), (0.5, 0.39), 195, 262, 12), (250, 250, 250), 0.008),
    )


def umbrella_closed(style: int = 0) -> Shapes:
    """Return a rolled umbrella with a hooked handle, upright."""
    cloth, fold = ((_GREEN, (26, 92, 58)), (_NAVY, (92, 112, 168)))[style]
    hook = _arc((0.445, 0.86), (0.07, 0.07), 180, 0, 12)
    return (
        Shape(((0.375, 0.03), (0.375, 0.14)), _BLACK, 0.020),
        Shape(((0.375, 0.60), (0.375, 0.86), *hook), _BROWN, 0.036),
        Shape(((0.375, 0.10), (0.41, 0.14), (0.50, 0.58), (0.455, 0.66), (0.415, 0.62),
               (0.375, 0.68), (0.335, 0.62), (0.295, 0.66), (0.25, 0.58), (0.34, 0.14)), cloth),
        Shape(((0.375, 0.14), (0.335, 0.61)), fold, 0.012),
        Shape(((0.375, 0.14), (0.415, 0.61)), fold, 0.012),
        Shape(((0.29, 0.44), (0.375, 0.47), (0.46, 0.44)), fold, 0.026),
        Shape(_disc(0.375, 0.47, 0.018), _PALE),
    )  # fmt: skip


def ruled(width: float) -> Shapes:
    """Return the lines of writing paper."""
    return tuple(
        Shape(((0.08, y / 10), (width - 0.08, y / 10)), (176, 196, 222), 0.006)
        for y in range(2, 10)
    )


def note(width: float) -> Shapes:
    """Return a few short strokes, like a line or two of handwriting."""
    rows = ((0.30, 0.86), (0.42, 0.74), (0.54, 0.80))
    return tuple(
        Shape(((0.12, y), (0.12 + (width - 0.24) * part, y)), (150, 150, 156), 0.014)
        for y, part in rows
    )
