"""What surrounds the cards in training scenes: backgrounds and things that are no cards. No I/O."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.rooms import room

Random = np.random.Generator
_FONTS = (
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
    if photographs and random.random() < 0.45:
        return _cutout(random, photographs[int(random.integers(len(photographs)))], width, height)
    choices: Sequence[tuple[Callable[[Random, int, int], Image], float]] = (
        (room, 0.34), (_plane, 0.12), (_clutter, 0.18), (_tiles, 0.10), (_lights, 0.08),
        (_street, 0.12), (_page, 0.06),
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


def _plane(random: Random, width: int, height: int) -> Image:
    plane = np.full((height, width, 3), colour(random, 20, 245), np.float32)
    for cells, strength in ((3, 18), (12, 8), (80, 4)):
        plane += (_smooth(random, width, height, cells) * random.uniform(0, strength))[..., None]
    return np.clip(plane, 0, 255).astype(np.uint8)


def _clutter(random: Random, width: int, height: int) -> Image:
    canvas = _plane(random, width, height)
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
        font = _FONTS[int(random.integers(len(_FONTS)))]
        cv2.putText(canvas, text, at, font, max(size / 60, 0.2), tone, max(size // 20, 1),
                    cv2.LINE_AA)  # fmt: skip


def _tiles(random: Random, width: int, height: int) -> Image:
    canvas = _plane(random, width, height)
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
    canvas = _plane(random, width, height)
    for _ in range(int(random.integers(10, 60))):
        at = (int(random.integers(width)), int(random.integers(height)))
        radius = int(random.uniform(0.01, 0.12) * height)
        cv2.circle(canvas, at, radius, colour(random, 80, 255), -1, cv2.LINE_AA)
    small = cv2.resize(canvas, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), random.uniform(1, 6))
    return np.asarray(cv2.resize(blurred, (width, height)), np.uint8)


def _street(random: Random, width: int, height: int) -> Image:
    canvas = _plane(random, width, height)
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
            cv2.putText(canvas, text, (x + 8, y), _FONTS[0], size, ink, 1, cv2.LINE_AA)
    return _turned(random, canvas)


def distractor(random: Random) -> Image:
    """Return a picture of something flat that is no card of the kit, as BGR."""
    choices = (_sign, _book, _poster, _poster, _parcel, _screen, _icon, _icon, _icon, _letter)
    return choices[int(random.integers(len(choices)))](random)


def _sheet(random: Random, low: int = 60, high: int = 180) -> Image:
    height, width = int(random.integers(low, high)), int(random.integers(low, high))
    return np.full((height, width, 3), colour(random), np.uint8)


def _sign(random: Random) -> Image:
    canvas = np.full((140, 140, 3), colour(random), np.uint8)
    corners = int(random.choice([3, 4, 8, 24]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + random.uniform(0, np.pi)
    for radius in (66, 56):
        points = 70 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(canvas, [points.astype(np.int32)], colour(random), cv2.LINE_AA)
    text = words(random, int(random.integers(1, 4)))
    cv2.putText(canvas, text, (35, 90), _FONTS[1], 1.6, colour(random), 4, cv2.LINE_AA)
    return canvas


def _book(random: Random) -> Image:
    canvas = _sheet(random, 90, 200)
    height, width = canvas.shape[:2]
    cv2.rectangle(canvas, (0, 0), (width // 12, height), colour(random), -1)
    for y in (height // 5, height // 3, height * 4 // 5):
        text = words(random, int(random.integers(3, 10)))
        cv2.putText(
            canvas, text, (width // 7, y), _FONTS[2], width / 250, colour(random), 1, cv2.LINE_AA
        )
    return canvas


def _poster(random: Random) -> Image:
    wide = int(random.integers(80, 220))
    canvas = _plane(random, wide, int(wide * random.uniform(0.6, 1.6)))
    for _ in range(int(random.integers(2, 16))):
        at = (int(random.integers(canvas.shape[1])), int(random.integers(canvas.shape[0])))
        scribble(random, canvas, at, int(random.integers(8, 90)))
    return canvas


def _parcel(random: Random) -> Image:
    canvas = np.full((120, 170, 3), (90, 140, 180), np.uint8)
    cv2.rectangle(canvas, (70, 0), (95, 120), (120, 175, 210), -1)
    cv2.rectangle(canvas, (10, 20), (60, 55), (245, 245, 245), -1)
    for y in (30, 38, 46):
        cv2.line(canvas, (14, y), (int(random.integers(30, 58)), y), (40, 40, 40), 2)
    return np.asarray(np.clip(canvas * random.uniform(0.6, 1.2), 0, 255), np.uint8)


def _screen(random: Random) -> Image:
    canvas = np.full((130, 200, 3), 24, np.uint8)
    canvas[8:122, 8:192] = colour(random)
    for _ in range(int(random.integers(2, 12))):
        left, top = int(random.integers(10, 160)), int(random.integers(10, 110))
        corner = (
            min(left + int(random.integers(8, 120)), 190),
            min(top + int(random.integers(4, 40)), 120),
        )
        cv2.rectangle(canvas, (left, top), corner, colour(random), -1)
    return np.rot90(canvas).copy() if random.random() < 0.4 else canvas


def _paper(random: Random) -> Image:
    """Return an empty card much like the kit's."""
    height, width = (150, 200) if random.random() < 0.6 else (200, 150)
    canvas = np.full((height, width, 3), colour(random, 225, 255), np.uint8)
    if random.random() < 0.7:
        cv2.rectangle(canvas, (2, 2), (width - 3, height - 3), colour(random, 0, 200),
                      int(random.integers(1, 4)), cv2.LINE_AA)  # fmt: skip
    return canvas


def _icon(random: Random) -> Image:
    """Return a card of the kit's kind with a picture that is none of the kit's."""
    canvas = _paper(random)
    height, width = canvas.shape[:2]
    middle = np.array([width / 2, height / 2])
    ink, second = colour(random, 0, 170), colour(random, 0, 200)
    size = min(height, width) * random.uniform(0.2, 0.42)
    drawings = (_star, _house, _tree, _bars, _key, _bottle, _hammer, _blob, _face, _arrow)
    picture = np.concatenate([canvas])
    drawings[int(random.integers(len(drawings)))](random, picture, middle, size, ink, second)
    onto = cv2.getRotationMatrix2D((width / 2, height / 2), random.choice([0, 0, 90, 180, 35]), 1)
    turned = cv2.warpAffine(picture, onto, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned if random.random() < 0.5 else picture, np.uint8)


_Ink = tuple[int, int, int]
_Point = npt.NDArray[np.float64]


def _fill(canvas: Image, middle: _Point, size: float, points: object, ink: _Ink) -> None:
    cv2.fillPoly(canvas, [(middle + size * np.array(points)).astype(np.int32)], ink, cv2.LINE_AA)


def _star(random: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, _: _Ink) -> None:
    spikes = int(random.integers(4, 9))
    angles = np.arange(2 * spikes) * np.pi / spikes
    radii = np.where(np.arange(2 * spikes) % 2, random.uniform(0.3, 0.7), 1.0)
    _fill(canvas, middle, size, np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1), ink)


def _house(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink) -> None:
    _fill(canvas, middle, size, [(-1, 0), (0, -1), (1, 0)], second)
    _fill(canvas, middle, size, [(-0.8, 0), (0.8, 0), (0.8, 1), (-0.8, 1)], ink)
    _fill(canvas, middle, size, [(-0.2, 0.4), (0.2, 0.4), (0.2, 1), (-0.2, 1)], second)


def _tree(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink) -> None:
    _fill(canvas, middle, size, [(-0.12, 0.2), (0.12, 0.2), (0.12, 1), (-0.12, 1)], ink)
    for up in (0.0, 0.35, 0.7):
        _fill(canvas, middle, size, [(-0.8 + up / 2, 0.4 - up), (0, -0.4 - up), (0.8 - up / 2, 0.4 - up)],
              second)  # fmt: skip


def _bars(
    random: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink
) -> None:
    for index, tall in enumerate(random.uniform(0.2, 1.8, 5)):
        left = -1 + index * 0.42
        _fill(canvas, middle, size, [(left, 1), (left, 1 - tall), (left + 0.3, 1 - tall), (left + 0.3, 1)],
              ink if index % 2 else second)  # fmt: skip


def _key(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, __: _Ink) -> None:
    head = tuple(int(v) for v in middle - (size * 0.6, 0))
    cv2.circle(canvas, head, int(size * 0.4), ink, max(int(size * 0.16), 1), cv2.LINE_AA)
    _fill(canvas, middle, size, [(-0.2, -0.09), (1.1, -0.09), (1.1, 0.09), (-0.2, 0.09)], ink)
    _fill(canvas, middle, size, [(0.7, 0), (0.85, 0), (0.85, 0.4), (0.7, 0.4)], ink)
    _fill(canvas, middle, size, [(0.95, 0), (1.1, 0), (1.1, 0.45), (0.95, 0.45)], ink)


def _bottle(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink) -> None:
    _fill(canvas, middle, size, [(-0.15, -1), (0.15, -1), (0.15, -0.5), (0.4, -0.2), (0.4, 1), (-0.4, 1),
                                 (-0.4, -0.2), (-0.15, -0.5)], ink)  # fmt: skip
    _fill(canvas, middle, size, [(-0.4, 0.1), (0.4, 0.1), (0.4, 0.6), (-0.4, 0.6)], second)


def _hammer(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink) -> None:
    _fill(canvas, middle, size, [(-0.1, -0.6), (0.1, -0.6), (0.12, 1), (-0.12, 1)], second)
    _fill(
        canvas,
        middle,
        size,
        [(-0.6, -0.9), (0.45, -0.9), (0.7, -0.6), (0.45, -0.5), (-0.6, -0.5)],
        ink,
    )


def _blob(random: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, __: _Ink) -> None:
    angles = np.linspace(0, 2 * np.pi, 40)
    waves = 1 + 0.25 * np.sin(angles * int(random.integers(2, 6)) + random.uniform(0, 6))
    flat = random.uniform(0.3, 1.0)
    _fill(
        canvas,
        middle,
        size,
        np.stack([waves * np.cos(angles), flat * waves * np.sin(angles)], 1),
        ink,
    )


def _face(_: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, second: _Ink) -> None:
    at = (int(middle[0]), int(middle[1]))
    cv2.circle(canvas, at, int(size), second, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (int(middle[0] + side * size * 0.35), int(middle[1] - size * 0.25))
        cv2.circle(canvas, eye, max(int(size * 0.12), 1), ink, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, at, (int(size * 0.55), int(size * 0.5)), 0, 20, 160, ink,
                max(int(size * 0.1), 1), cv2.LINE_AA)  # fmt: skip


def _arrow(random: Random, canvas: Image, middle: _Point, size: float, ink: _Ink, __: _Ink) -> None:
    thick = random.uniform(0.08, 0.3)
    _fill(canvas, middle, size, [(-1, -thick), (0.3, -thick), (0.3, -0.6), (1, 0), (0.3, 0.6), (0.3, thick),
                                 (-1, thick)], ink)  # fmt: skip


def _letter(random: Random) -> Image:
    canvas = _paper(random)
    height, width = canvas.shape[:2]
    if random.random() < 0.5:
        text, scale, thick = words(random, int(random.integers(1, 4))), 2.4, 6
        cv2.putText(canvas, text, (width // 8, height * 2 // 3), _FONTS[1], scale, colour(random, 0, 160),
                    thick, cv2.LINE_AA)  # fmt: skip
        return canvas
    for y in range(20, height - 10, int(random.integers(10, 22))):
        text = words(random, int(random.integers(4, 22)))
        cv2.putText(canvas, text, (10, y), _FONTS[0], 0.4, colour(random, 0, 120), 1, cv2.LINE_AA)
    return canvas
