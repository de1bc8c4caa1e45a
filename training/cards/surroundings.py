"""What stands behind the cards in training scenes: drawn surroundings of many kinds. No I/O."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.rooms import room
from training.vehicles import vehicle

Random = np.random.Generator
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_LETTERS = "ABCDEFGHIJKLMNOPRSTUVWXYZabcdefghiklmnoprstuvw0123456789!?&-."


def colour(random: Random, low: int = 0, high: int = 255) -> tuple[int, int, int]:
    """Return a BGR colour: half of them greyish, half saturated."""
    if random.random() < 0.5:
        shades = random.uniform(low, high) + random.normal(0, 14, 3)
    else:
        shades = random.uniform(low, high, 3)
    blue, green, red = np.clip(shades, 0, 255)
    return int(blue), int(green), int(red)


def words(random: Random, length: int) -> str:
    """Return letters without sense."""
    return "".join(_LETTERS[i] for i in random.integers(0, len(_LETTERS), length))


def background(random: Random, width: int, height: int, photographs: Sequence[Image] = ()) -> Image:
    """Return (height, width, 3) uint8 BGR: drawn, or cut out of one of `photographs`."""
    if photographs and random.random() < 0.5:
        return _cutout(random, photographs[int(random.integers(len(photographs)))], width, height)
    choices: Sequence[tuple[Callable[[Random, int, int], Image], float]] = (
        (room, 0.34), (plane, 0.10), (_clutter, 0.18), (_tiles, 0.08), (_lights, 0.07),
        (_street, 0.12), (_page, 0.04), (_parking, 0.07),
    )  # fmt: skip
    weights = np.array([weight for _, weight in choices])
    drawing = choices[int(random.choice(len(choices), p=weights / weights.sum()))][0]
    return drawing(random, width, height)


def _cutout(random: Random, photograph: Image, width: int, height: int) -> Image:
    tall, wide = photograph.shape[:2]
    part = random.uniform(0.4, 1.0) * min(wide / width, tall / height)
    across, down = int(width * part), int(height * part)
    left, top = int(random.integers(wide - across + 1)), int(random.integers(tall - down + 1))
    piece = photograph[top : top + down, left : left + across]
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    return np.asarray(cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _smooth(random: Random, width: int, height: int, cells: int) -> npt.NDArray[np.float32]:
    """Return soft noise of standard deviation 1 as (height, width) float32."""
    rows = max(cells * height // width, 2)
    noise = random.normal(0, 1, (rows, cells)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))


def plane(random: Random, width: int, height: int) -> Image:
    """Return one colour with soft blotches, (height, width, 3) uint8 BGR."""
    plane = np.full((height, width, 3), colour(random, 20, 245), np.float32)
    for cells, strength in ((3, 18), (12, 8), (80, 4)):
        plane += (_smooth(random, width, height, cells) * random.uniform(0, strength))[..., None]
    return np.clip(plane, 0, 255).astype(np.uint8)


def _clutter(random: Random, width: int, height: int) -> Image:
    canvas = plane(random, width, height)
    for _ in range(int(random.integers(15, 90))):
        x, y = int(random.integers(width)), int(random.integers(height))
        size = int(np.exp(random.uniform(np.log(height / 60), np.log(height / 2.5))))
        scribble(random, canvas, (x, y), size)
    return canvas


def scribble(random: Random, canvas: Image, at: tuple[int, int], size: int) -> None:
    """Draw one thing of about `size` pixels at a place: a shape, a line, a word."""
    x, y = at
    tone = colour(random)
    thick = -1 if random.random() < 0.6 else max(size // 12, 1)
    kind = int(random.integers(6))
    if kind == 0:
        axes = (max(size // 2, 1), max(int(size * random.uniform(0.1, 0.6)), 1))
        cv2.ellipse(canvas, at, axes, random.uniform(0, 180), 0, 360, tone, thick, cv2.LINE_AA)
    elif kind == 1:
        corner = (x + int(size * random.uniform(0.3, 2)), y + int(size * random.uniform(0.2, 1.2)))
        cv2.rectangle(canvas, at, corner, tone, thick)
    elif kind == 2:
        spread = random.normal(0, size / 2, (int(random.integers(3, 9)), 2)) + at
        cv2.fillPoly(canvas, [spread.astype(np.int32)], tone, cv2.LINE_AA)
    elif kind == 3:
        steps = np.cumsum(random.normal(0, size / 4, (12, 2)), axis=0) + at
        cv2.polylines(
            canvas, [steps.astype(np.int32)], False, tone, max(size // 14, 1), cv2.LINE_AA
        )
    elif kind == 4:
        end = (x + int(random.normal(0, size)), y + int(random.normal(0, size)))
        cv2.line(canvas, at, end, tone, max(int(size * random.uniform(0.02, 0.2)), 1), cv2.LINE_AA)
    else:
        text = words(random, int(random.integers(1, 9)))
        font = FONTS[int(random.integers(len(FONTS)))]
        cv2.putText(canvas, text, at, font, max(size / 60, 0.2), tone, max(size // 20, 1),
                    cv2.LINE_AA)  # fmt: skip


def _tiles(random: Random, width: int, height: int) -> Image:
    canvas = plane(random, width, height)
    wide, high = int(random.integers(12, 160)), int(random.integers(12, 120))
    joint, thick = colour(random), int(random.integers(1, 7))
    second, checks = colour(random), random.random() < 0.35
    shift = int(wide * random.choice([0, 0.5]))
    for row, y in enumerate(range(0, height, high)):
        for column, x in enumerate(range(-shift * (row % 2), width, wide)):
            if checks and (row + column) % 2:
                cv2.rectangle(canvas, (x, y), (x + wide, y + high), second, -1)
            cv2.rectangle(canvas, (x, y), (x + wide, y + high), joint, thick)
    return _turned(random, canvas)


def _turned(random: Random, canvas: Image) -> Image:
    height, width = canvas.shape[:2]
    moved = random.normal(0, 0.12, (4, 2)) * (width, height)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    onto = cv2.getPerspectiveTransform(corners, (corners + moved).astype(np.float32))
    return np.asarray(
        cv2.warpPerspective(canvas, onto, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _lights(random: Random, width: int, height: int) -> Image:
    canvas = plane(random, width, height)
    for _ in range(int(random.integers(10, 60))):
        at = (int(random.integers(width)), int(random.integers(height)))
        radius = int(random.uniform(0.01, 0.12) * height)
        cv2.circle(canvas, at, radius, colour(random, 80, 255), -1, cv2.LINE_AA)
    small = cv2.resize(canvas, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), random.uniform(1, 6))
    return np.asarray(cv2.resize(blurred, (width, height)), np.uint8)


def _street(random: Random, width: int, height: int) -> Image:
    canvas = plane(random, width, height)
    ground = int(height * random.uniform(0.5, 0.8))
    x = 0
    while x < width:
        wide = int(width * random.uniform(0.06, 0.25))
        top = int(ground * random.uniform(0.05, 0.7))
        cv2.rectangle(canvas, (x, top), (x + wide, ground), colour(random, 30, 220), -1)
        pane, gap = int(random.integers(8, 40)), int(random.integers(4, 24))
        glass = colour(random, 20, 235)
        for left in range(x + gap, x + wide - pane, pane + gap):
            for upper in range(top + gap, ground - pane, int(pane * 1.5) + gap):
                cv2.rectangle(
                    canvas, (left, upper), (left + pane, upper + int(pane * 1.4)), glass, -1
                )
        x += wide + int(random.integers(0, 12))
    cv2.rectangle(canvas, (0, ground), (width, height), colour(random, 40, 140), -1)
    for _ in range(int(random.integers(0, 7))):
        person(random, canvas, ground)
    return canvas


def _parking(random: Random, width: int, height: int) -> Image:
    """Return a place full of vehicles, as a camera high above sees it."""
    canvas = plane(random, width, height)
    step = int(height * random.uniform(0.1, 0.3))
    for top in range(int(random.integers(step)), height - step, int(step * 1.3)):
        for left in range(int(random.integers(step)), width - step, step + step // 8):
            if random.random() < 0.55:
                picture = cv2.resize(vehicle(random), (step, step), interpolation=cv2.INTER_AREA)
                _lay(canvas[top : top + step, left : left + step], np.asarray(picture, np.uint8))
    return _turned(random, canvas)


def _lay(region: Image, picture: Image) -> None:
    """Blend a square picture into a region of its size, in place, its edges fading."""
    across = np.clip(1 - np.abs(np.linspace(-1, 1, len(picture))), 0, 0.25) * 4
    part = np.outer(across, across)[..., None]
    region[:] = (picture * part + region * (1 - part)).astype(np.uint8)


def person(random: Random, canvas: Image, ground: int) -> None:
    """Draw somebody who stands about, from head to feet."""
    tall = int(canvas.shape[0] * random.uniform(0.15, 0.8))
    x, feet = int(random.integers(canvas.shape[1])), ground + int(tall * random.uniform(0.05, 0.5))
    top, wide = feet - tall, max(tall // 6, 2)
    shirt, legs = colour(random), colour(random, 0, 140)
    cv2.rectangle(canvas, (x - wide // 2, top + tall // 2), (x - 1, feet), legs, -1)
    cv2.rectangle(canvas, (x + 1, top + tall // 2), (x + wide // 2, feet), legs, -1)
    middle, axes = (x, top + tall // 3), (max(wide * 2 // 3, 1), max(tall // 5, 1))
    cv2.ellipse(canvas, middle, axes, 0, 0, 360, shirt, -1, cv2.LINE_AA)
    for side in (-1, 1):
        hand = (
            x + side * int(wide * random.uniform(0.4, 2.2)),
            top + int(tall * random.uniform(0.3, 0.6)),
        )
        cv2.line(canvas, (x, top + tall // 5), hand, shirt, max(wide // 3, 1), cv2.LINE_AA)
    cv2.circle(canvas, (x, top + tall // 12), max(tall // 13, 1), skin(random), -1, cv2.LINE_AA)


def skin(random: Random) -> tuple[int, int, int]:
    """Return one of the colours that hands have, BGR."""
    dark = random.uniform(0.25, 1.0)
    blue, green, red = np.clip(np.array([170, 195, 240]) * dark + random.normal(0, 6, 3), 0, 255)
    return int(blue), int(green), int(red)


def _page(random: Random, width: int, height: int) -> Image:
    canvas = np.full((height, width, 3), colour(random, 200, 255), np.uint8)
    size = random.uniform(0.3, 1.6)
    ink = colour(random, 0, 90)
    for y in range(0, height + 40, int(26 * size) + 6):
        for x in range(0, width, width // 2):
            text = words(random, int(random.integers(4, 40)))
            cv2.putText(canvas, text, (x + 8, y), FONTS[0], size, ink, 1, cv2.LINE_AA)
    return _turned(random, canvas)
