"""The pictures of phones and umbrellas, and what blank cards carry. Data, no pixels."""

from producers.drawing import (
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    GREY,
    NAVY,
    PALE,
    RED,
    STEEL,
    TAN,
    VIOLET,
    YELLOW,
    Shape,
    Shapes,
    arc,
    box,
    disc,
    rounded,
)


def phone_front(style: int = 0) -> Shapes:
    """Return a phone's front with rows of app icons, upright."""
    body, screen, tones = (
        (BLACK, (56, 92, 150), (YELLOW, GREEN, RED, PALE)),
        (STEEL, (232, 236, 242), (BLUE, VIOLET, GREEN, RED)),
        ((20, 30, 40), (24, 34, 48), (PALE, BLUE, YELLOW, GREEN)),
    )[style]
    icons = [
        Shape(rounded(x, y, x + 0.075, y + 0.075, 0.016), tones[(row + 2 * column) % len(tones)])
        for row, y in enumerate((0.24, 0.36, 0.48, 0.60))
        for column, x in enumerate((0.235, 0.3375, 0.44))
    ]
    return (
        Shape(rounded(0.175, 0.07, 0.575, 0.93, 0.05), body),
        Shape(rounded(0.20, 0.13, 0.55, 0.87, 0.015), screen),
        *icons,
        Shape(((0.33, 0.10), (0.42, 0.10)), GREY, 0.014),
        Shape(box(0.22, 0.76, 0.53, 0.84), tones[3]),
        Shape(disc(0.375, 0.90, 0.018), GREY),
    )


def phone_back() -> Shapes:
    """Return a phone's back with its cameras, upright."""
    lenses = [(0.265, 0.175), (0.265, 0.275), (0.345, 0.225)]
    return (
        Shape(rounded(0.165, 0.07, 0.585, 0.93, 0.06), NAVY),
        Shape(rounded(0.185, 0.09, 0.565, 0.91, 0.05), (58, 78, 128)),
        Shape(rounded(0.205, 0.115, 0.41, 0.335, 0.04), NAVY),
        *(Shape(disc(x, y, 0.040), BLACK) for x, y in lenses),
        *(Shape(disc(x, y, 0.022), GREY) for x, y in lenses),
        Shape(disc(0.375, 0.165, 0.014), YELLOW),
        Shape(disc(0.375, 0.56, 0.050), PALE),
        Shape(((0.32, 0.84), (0.43, 0.84)), PALE, 0.014),
    )


def phone_keys() -> Shapes:
    """Return an old phone with a keypad and an aerial, upright."""
    keys = [
        Shape(rounded(x, y, x + 0.085, y + 0.050, 0.018), PALE)
        for y in (0.565, 0.640, 0.715, 0.790)
        for x in (0.235, 0.3325, 0.43)
    ]
    return (
        Shape(rounded(0.485, 0.03, 0.545, 0.20, 0.025), BLACK),
        Shape(rounded(0.185, 0.11, 0.565, 0.94, 0.07), STEEL),
        Shape(rounded(0.225, 0.20, 0.525, 0.45, 0.02), (150, 178, 130)),
        Shape(((0.26, 0.27), (0.44, 0.27)), BLACK, 0.018),
        Shape(((0.26, 0.33), (0.49, 0.33)), BLACK, 0.018),
        Shape(((0.32, 0.155), (0.43, 0.155)), BLACK, 0.014),
        Shape(rounded(0.30, 0.475, 0.45, 0.535, 0.025), BLUE),
        *keys,
    )


def phone_call() -> Shapes:
    """Return a phone that takes a call, upright."""
    return (
        Shape(rounded(0.165, 0.07, 0.585, 0.93, 0.06), BLACK),
        Shape(rounded(0.185, 0.095, 0.565, 0.905, 0.04), (40, 52, 72)),
        Shape(disc(0.375, 0.30, 0.090), TAN),
        Shape(arc((0.375, 0.50), (0.15, 0.13), 180, 360, 16), PALE),
        Shape(((0.28, 0.60), (0.47, 0.60)), PALE, 0.022),
        Shape(disc(0.275, 0.76, 0.055), RED),
        Shape(disc(0.475, 0.76, 0.055), GREEN),
        Shape(((0.245, 0.77), (0.305, 0.77)), (250, 250, 250), 0.022),
        Shape(((0.455, 0.74), (0.465, 0.77), (0.495, 0.785)), (250, 250, 250), 0.020),
    )


def umbrella_open(style: int = 0) -> Shapes:
    """Return an open umbrella with a hooked handle."""
    first, second = (
        (RED, (226, 96, 92)),
        (BLUE, (240, 240, 244)),
        (BLACK, STEEL),
        (VIOLET, YELLOW),
    )[style]
    centre, middle = 2 / 3, 0.50
    hem = [
        point
        for scallop in (0.4, 0.2, 0.0, -0.2, -0.4)
        for point in arc((centre + scallop, middle + 0.01), (0.1, 0.055), 0, -180, 8)
    ]
    top = arc((centre, middle + 0.01), (0.5, 0.40), 180, 360, 32)
    # Panels narrow towards the tip: each is bounded by two ellipses through it.
    panels = [
        Shape(
            (
                *arc((centre, middle - 0.02), (0.5 * outer, 0.37), 270, side, 12),
                *arc((centre, middle - 0.02), (0.5 * inner, 0.37), side, 270, 12),
            ),
            second,
        )
        for outer, inner, side in ((0.6, 0.2, 180), (0.6, 0.2, 360))
    ]
    hook = arc((centre - 0.07, 0.84), (0.07, 0.07), 0, 180, 12)
    return (
        Shape(((centre, 0.06), (centre, 0.13)), BLACK, 0.022),
        Shape(((centre, 0.40), (centre, 0.84), *hook), BROWN if style else BLACK, 0.032),
        Shape((*top, *hem), first),
        *panels,
        Shape(arc((centre, middle), (0.5, 0.39), 195, 262, 12), (250, 250, 250), 0.008),
    )


def umbrella_closed(style: int = 0) -> Shapes:
    """Return a rolled umbrella with a hooked handle, upright."""
    cloth, fold = ((GREEN, (26, 92, 58)), (NAVY, (92, 112, 168)))[style]
    hook = arc((0.445, 0.86), (0.07, 0.07), 180, 0, 12)
    return (
        Shape(((0.375, 0.03), (0.375, 0.14)), BLACK, 0.020),
        Shape(((0.375, 0.60), (0.375, 0.86), *hook), BROWN, 0.036),
        Shape(((0.375, 0.10), (0.41, 0.14), (0.50, 0.58), (0.455, 0.66), (0.415, 0.62),
               (0.375, 0.68), (0.335, 0.62), (0.295, 0.66), (0.25, 0.58), (0.34, 0.14)), cloth),
        Shape(((0.375, 0.14), (0.335, 0.61)), fold, 0.012),
        Shape(((0.375, 0.14), (0.415, 0.61)), fold, 0.012),
        Shape(((0.29, 0.44), (0.375, 0.47), (0.46, 0.44)), fold, 0.026),
        Shape(disc(0.375, 0.47, 0.018), PALE),
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
