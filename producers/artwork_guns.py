"""The pictures of guns, small and big. Data, no pixels."""

from producers.drawing import (
    BLACK,
    BROWN,
    GREY,
    NAVY,
    OLIVE,
    PALE,
    RED,
    STEEL,
    TAN,
    Shape,
    Shapes,
    box,
    disc,
    rounded,
)


def pistol(style: int = 0) -> Shapes:
    """Return a self-loading pistol that points left."""
    slide, frame, grip = (
        (STEEL, BLACK, GREY),
        (BLACK, STEEL, BLACK),
        (GREY, STEEL, BROWN),
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
        Shape(box(0.62, 0.25, 0.82, 0.31), PALE),
        Shape(box(0.17, 0.18, 0.21, 0.22), frame),
        Shape(box(1.06, 0.175, 1.12, 0.22), frame),
        Shape(((0.16, 0.36), (0.60, 0.36)), frame, 0.012),
        *lines,
        Shape(((0.60, 0.48), (0.58, 0.60), (0.64, 0.68), (0.82, 0.68), (0.89, 0.60)), frame, 0.032),
        Shape(((0.76, 0.50), (0.74, 0.56), (0.71, 0.62)), frame, 0.026),
    )  # fmt: skip


def revolver(style: int = 0) -> Shapes:
    """Return a revolver that points left."""
    steel, dark, grip = ((STEEL, BLACK, BROWN), (GREY, STEEL, BLACK))[style]
    flutes = [Shape(rounded(0.63, y, 0.82, y + 0.04, 0.018), dark) for y in (0.27, 0.35, 0.43)]
    return (
        Shape(box(0.10, 0.25, 0.64, 0.36), steel),
        Shape(((0.24, 0.36), (0.62, 0.36), (0.62, 0.43), (0.28, 0.43)), dark),
        Shape(((0.11, 0.20), (0.17, 0.20), (0.21, 0.25), (0.11, 0.25)), dark),
        Shape(((0.56, 0.20), (0.98, 0.20), (1.04, 0.30), (1.00, 0.54), (0.56, 0.54)), dark),
        Shape(rounded(0.60, 0.22, 0.86, 0.52, 0.03), steel),
        *flutes,
        Shape(((0.98, 0.22), (1.07, 0.12), (1.12, 0.15), (1.04, 0.32)), dark),
        Shape(((0.90, 0.46), (1.02, 0.34), (1.12, 0.48), (1.22, 0.72), (1.24, 0.88), (1.04, 0.90),
               (1.00, 0.72)), grip),
        Shape(disc(1.07, 0.62, 0.022), PALE),
        Shape(((0.64, 0.53), (0.66, 0.66), (0.76, 0.71), (0.88, 0.67), (0.94, 0.54)), dark, 0.030),
        Shape(((0.80, 0.53), (0.80, 0.58), (0.76, 0.64)), dark, 0.026),
    )  # fmt: skip


def pocket_pistol() -> Shapes:
    """Return a short pistol that points left, drawn in outline."""
    return (
        Shape(((0.30, 0.27), (1.02, 0.27), (1.07, 0.33), (1.07, 0.45), (0.30, 0.45)), NAVY),
        Shape(((0.34, 0.45), (1.08, 0.45), (1.00, 0.55), (1.10, 0.84), (0.86, 0.88), (0.78, 0.60),
               (0.64, 0.60), (0.60, 0.53), (0.34, 0.53)), NAVY),
        Shape(((0.88, 0.58), (0.97, 0.57), (1.04, 0.79), (0.92, 0.81)), PALE),
        Shape(((0.34, 0.32), (0.98, 0.32)), PALE, 0.014),
        Shape(((0.34, 0.40), (0.80, 0.40)), PALE, 0.014),
        Shape(box(0.33, 0.235, 0.37, 0.27), NAVY),
        Shape(((0.54, 0.52), (0.53, 0.64), (0.60, 0.69), (0.74, 0.69), (0.80, 0.61)), NAVY, 0.034),
        Shape(((0.69, 0.53), (0.66, 0.62)), NAVY, 0.028),
    )  # fmt: skip


def rifle(style: int = 0) -> Shapes:
    """Return a rifle with a curved magazine and a wooden stock, pointing left."""
    steel, wood = ((BLACK, BROWN), (STEEL, TAN))[style]
    return (
        Shape(box(0.05, 0.420, 0.42, 0.450), steel),
        Shape(box(0.30, 0.375, 0.44, 0.400), steel),
        Shape(((0.10, 0.33), (0.13, 0.33), (0.15, 0.43), (0.09, 0.43)), steel),
        Shape(((0.36, 0.36), (0.62, 0.37), (0.62, 0.48), (0.36, 0.47)), wood),
        Shape(((0.40, 0.415), (0.58, 0.42)), steel, 0.014),
        Shape(((0.58, 0.35), (0.96, 0.37), (1.00, 0.40), (1.00, 0.49), (0.58, 0.49)), steel),
        Shape(box(0.78, 0.395, 0.92, 0.425), GREY),
        Shape(((0.60, 0.30), (0.64, 0.30), (0.66, 0.36), (0.58, 0.36)), steel),
        Shape(((0.61, 0.48), (0.75, 0.48), (0.74, 0.60), (0.69, 0.70), (0.60, 0.79), (0.50, 0.72),
               (0.57, 0.64), (0.61, 0.56)), steel),
        Shape(((0.62, 0.56), (0.73, 0.58)), GREY, 0.010),
        Shape(((0.60, 0.63), (0.71, 0.67)), GREY, 0.010),
        Shape(((0.86, 0.48), (0.95, 0.48), (1.02, 0.69), (0.93, 0.71)), wood),
        Shape(((0.76, 0.49), (0.77, 0.57), (0.88, 0.58)), steel, 0.018),
        Shape(((0.82, 0.49), (0.80, 0.55)), steel, 0.016),
        Shape(((0.99, 0.40), (1.27, 0.46), (1.29, 0.64), (1.24, 0.66), (1.00, 0.50)), wood),
        Shape(((1.27, 0.46), (1.29, 0.64)), steel, 0.016),
    )  # fmt: skip


def carbine(style: int = 0) -> Shapes:
    """Return a carbine with a carrying handle and a straight magazine, pointing left."""
    dark, mid = ((BLACK, STEEL), (OLIVE, BLACK))[style]
    vents = [Shape(box(x, 0.425, x + 0.03, 0.445), PALE) for x in (0.32, 0.38, 0.44, 0.50)]
    return (
        Shape(box(0.05, 0.43, 0.30, 0.455), dark),
        Shape(box(0.05, 0.415, 0.12, 0.47), mid),
        Shape(((0.22, 0.34), (0.25, 0.34), (0.28, 0.43), (0.20, 0.43)), dark),
        Shape(rounded(0.28, 0.395, 0.58, 0.495, 0.02), mid),
        *vents,
        Shape(((0.57, 0.39), (0.92, 0.39), (0.96, 0.43), (0.96, 0.50), (0.57, 0.52)), dark),
        Shape(((0.60, 0.39), (0.62, 0.32), (0.86, 0.30), (0.90, 0.39)), dark),
        Shape(((0.66, 0.375), (0.67, 0.345), (0.82, 0.335), (0.84, 0.375)), (250, 250, 250)),
        Shape(box(0.72, 0.43, 0.82, 0.46), GREY),
        Shape(((0.59, 0.51), (0.71, 0.51), (0.68, 0.74), (0.56, 0.72)), mid),
        Shape(((0.61, 0.54), (0.58, 0.71)), dark, 0.010),
        Shape(((0.65, 0.54), (0.62, 0.72)), dark, 0.010),
        Shape(((0.83, 0.50), (0.92, 0.50), (0.99, 0.70), (0.90, 0.72)), dark),
        Shape(((0.72, 0.52), (0.74, 0.58), (0.85, 0.58)), dark, 0.016),
        Shape(((0.79, 0.51), (0.77, 0.56)), dark, 0.014),
        Shape(box(0.95, 0.425, 1.08, 0.475), dark),
        Shape(((1.04, 0.40), (1.27, 0.40), (1.28, 0.62), (1.23, 0.63), (1.14, 0.50), (1.04, 0.50)),
              mid),
        Shape(((1.10, 0.45), (1.22, 0.45)), dark, 0.012),
    )  # fmt: skip


def shotgun() -> Shapes:
    """Return a pump-action shotgun, pointing left."""
    grooves = [Shape(((x, 0.46), (x, 0.54)), BLACK, 0.010) for x in (0.36, 0.40, 0.44, 0.48, 0.52)]
    return (
        Shape(box(0.05, 0.400, 0.80, 0.440), BLACK),
        Shape(box(0.12, 0.450, 0.70, 0.490), STEEL),
        Shape(rounded(0.32, 0.445, 0.56, 0.555, 0.03), BROWN),
        *grooves,
        Shape(((0.66, 0.39), (0.94, 0.39), (1.00, 0.43), (1.00, 0.51), (0.66, 0.53)), BLACK),
        Shape(box(0.74, 0.42, 0.86, 0.46), GREY),
        Shape(((0.98, 0.42), (1.10, 0.50), (1.28, 0.52), (1.29, 0.70), (1.10, 0.64), (1.03, 0.62),
               (0.94, 0.53)), BROWN),
        Shape(((1.28, 0.52), (1.29, 0.70)), BLACK, 0.020),
        Shape(((0.80, 0.53), (0.82, 0.61), (0.92, 0.61), (0.95, 0.54)), BLACK, 0.018),
        Shape(((0.88, 0.53), (0.86, 0.59)), BLACK, 0.014),
        Shape(box(0.06, 0.375, 0.09, 0.40), RED),
    )  # fmt: skip


def scoped_rifle() -> Shapes:
    """Return a hunting rifle with a telescopic sight, pointing left."""
    return (
        Shape(box(0.04, 0.450, 0.62, 0.478), BLACK),
        Shape(((0.34, 0.47), (0.98, 0.47), (1.06, 0.50), (1.28, 0.52), (1.29, 0.70), (1.08, 0.62),
               (1.00, 0.66), (0.94, 0.57), (0.34, 0.53)), BROWN),
        Shape(box(0.58, 0.43, 0.92, 0.485), BLACK),
        Shape(box(0.54, 0.335, 0.92, 0.385), STEEL),
        Shape(((0.46, 0.31), (0.56, 0.33), (0.56, 0.39), (0.46, 0.41)), STEEL),
        Shape(((0.90, 0.33), (0.99, 0.32), (0.99, 0.40), (0.90, 0.39)), STEEL),
        Shape(box(0.62, 0.38, 0.66, 0.44), BLACK),
        Shape(box(0.80, 0.38, 0.84, 0.44), BLACK),
        Shape(((0.88, 0.46), (0.96, 0.52)), GREY, 0.020),
        Shape(disc(0.97, 0.53, 0.022), GREY),
        Shape(((0.80, 0.54), (0.81, 0.61), (0.91, 0.62), (0.94, 0.57)), BLACK, 0.016),
        Shape(((0.86, 0.55), (0.85, 0.60)), BLACK, 0.014),
        Shape(((1.28, 0.52), (1.29, 0.70)), BLACK, 0.018),
    )  # fmt: skip
