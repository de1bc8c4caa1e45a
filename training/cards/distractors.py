"""Flat things that look like cards of the kit and are none. No I/O."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from training.cards.surroundings import FONTS, Random, colour, plane, scribble, words
from training.vehicles import vehicle


def distractor(random: Random) -> Image:
    """Return a picture of something flat that is no card of the kit, as BGR."""
    choices = (
        _sign, _book, _poster, _poster, _parcel, _screen, _icon, _icon, _icon, _letter, vehicle,
    )  # fmt: skip
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
    cv2.putText(canvas, text, (35, 90), FONTS[1], 1.6, colour(random), 4, cv2.LINE_AA)
    return canvas


def _book(random: Random) -> Image:
    canvas = _sheet(random, 90, 200)
    height, width = canvas.shape[:2]
    cv2.rectangle(canvas, (0, 0), (width // 12, height), colour(random), -1)
    for y in (height // 5, height // 3, height * 4 // 5):
        text = words(random, int(random.integers(3, 10)))
        cv2.putText(
            canvas, text, (width // 7, y), FONTS[2], width / 250, colour(random), 1, cv2.LINE_AA
        )
    return canvas


def _poster(random: Random) -> Image:
    wide = int(random.integers(80, 220))
    canvas = plane(random, wide, int(wide * random.uniform(0.6, 1.6)))
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
    pen = _Pen(middle, size, ink, second)
    drawings[int(random.integers(len(drawings)))](random, picture, pen)
    onto = cv2.getRotationMatrix2D((width / 2, height / 2), random.choice([0, 0, 90, 180, 35]), 1)
    turned = cv2.warpAffine(picture, onto, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned if random.random() < 0.5 else picture, np.uint8)


class _Pen(NamedTuple):
    """Where and with what a picture is drawn."""

    middle: npt.NDArray[np.float64]
    size: float
    ink: tuple[int, int, int]
    second: tuple[int, int, int]


def _fill(canvas: Image, pen: _Pen, points: npt.ArrayLike, *, second: bool = False) -> None:
    at = (pen.middle + pen.size * np.asarray(points, np.float64)).astype(np.int32)
    cv2.fillPoly(canvas, [at], pen.second if second else pen.ink, cv2.LINE_AA)


def _bar(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _star(random: Random, canvas: Image, pen: _Pen) -> None:
    spikes = int(random.integers(4, 9))
    angles = np.arange(2 * spikes) * np.pi / spikes
    radii = np.where(np.arange(2 * spikes) % 2, random.uniform(0.3, 0.7), 1.0)
    _fill(canvas, pen, np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1))


def _house(_: Random, canvas: Image, pen: _Pen) -> None:
    _fill(canvas, pen, [(-1, 0), (0, -1), (1, 0)], second=True)
    _fill(canvas, pen, _bar(-0.8, 0, 0.8, 1))
    _fill(canvas, pen, _bar(-0.2, 0.4, 0.2, 1), second=True)


def _tree(_: Random, canvas: Image, pen: _Pen) -> None:
    _fill(canvas, pen, _bar(-0.12, 0.2, 0.12, 1))
    for up in (0.0, 0.35, 0.7):
        points = [(-0.8 + up / 2, 0.4 - up), (0, -0.4 - up), (0.8 - up / 2, 0.4 - up)]
        _fill(canvas, pen, points, second=True)


def _bars(random: Random, canvas: Image, pen: _Pen) -> None:
    for index, tall in enumerate(random.uniform(0.2, 1.8, 5)):
        left = -1 + index * 0.42
        _fill(canvas, pen, _bar(left, 1 - tall, left + 0.3, 1), second=index % 2 == 0)


def _key(_: Random, canvas: Image, pen: _Pen) -> None:
    head = (int(pen.middle[0] - pen.size * 0.6), int(pen.middle[1]))
    thick = max(int(pen.size * 0.16), 1)
    cv2.circle(canvas, head, int(pen.size * 0.4), pen.ink, thick, cv2.LINE_AA)
    for part in (_bar(-0.2, -0.09, 1.1, 0.09), _bar(0.7, 0, 0.85, 0.4), _bar(0.95, 0, 1.1, 0.45)):
        _fill(canvas, pen, part)


def _bottle(_: Random, canvas: Image, pen: _Pen) -> None:
    left = [(-0.4, 1), (-0.4, -0.2), (-0.15, -0.5), (-0.15, -1)]
    _fill(canvas, pen, left + [(-x, y) for x, y in reversed(left)])
    _fill(canvas, pen, _bar(-0.4, 0.1, 0.4, 0.6), second=True)


def _hammer(_: Random, canvas: Image, pen: _Pen) -> None:
    _fill(canvas, pen, [(-0.1, -0.6), (0.1, -0.6), (0.12, 1), (-0.12, 1)], second=True)
    _fill(canvas, pen, [(-0.6, -0.9), (0.45, -0.9), (0.7, -0.6), (0.45, -0.5), (-0.6, -0.5)])


def _blob(random: Random, canvas: Image, pen: _Pen) -> None:
    angles = np.linspace(0, 2 * np.pi, 40)
    waves = 1 + 0.25 * np.sin(angles * int(random.integers(2, 6)) + random.uniform(0, 6))
    flat = random.uniform(0.3, 1.0)
    _fill(canvas, pen, np.stack([waves * np.cos(angles), flat * waves * np.sin(angles)], 1))


def _face(_: Random, canvas: Image, pen: _Pen) -> None:
    x, y, size = int(pen.middle[0]), int(pen.middle[1]), pen.size
    cv2.circle(canvas, (x, y), int(size), pen.second, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (int(x + side * size * 0.35), int(y - size * 0.25))
        cv2.circle(canvas, eye, max(int(size * 0.12), 1), pen.ink, -1, cv2.LINE_AA)
    axes, thick = (int(size * 0.55), int(size * 0.5)), max(int(size * 0.1), 1)
    cv2.ellipse(canvas, (x, y), axes, 0, 20, 160, pen.ink, thick, cv2.LINE_AA)


def _arrow(random: Random, canvas: Image, pen: _Pen) -> None:
    thick = random.uniform(0.08, 0.3)
    upper = [(-1, -thick), (0.3, -thick), (0.3, -0.6), (1, 0)]
    _fill(canvas, pen, upper + [(x, -y) for x, y in reversed(upper[:-1])])


def _letter(random: Random) -> Image:
    canvas = _paper(random)
    height, width = canvas.shape[:2]
    if random.random() < 0.5:
        text, at = words(random, int(random.integers(1, 4))), (width // 8, height * 2 // 3)
        cv2.putText(canvas, text, at, FONTS[1], 2.4, colour(random, 0, 160), 6, cv2.LINE_AA)
        return canvas
    for y in range(20, height - 10, int(random.integers(10, 22))):
        text = words(random, int(random.integers(4, 22)))
        cv2.putText(canvas, text, (10, y), FONTS[0], 0.4, colour(random, 0, 120), 1, cv2.LINE_AA)
    return canvas
