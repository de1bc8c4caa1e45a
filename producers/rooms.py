"""What stands behind the cards in a synthetic scene: a plain drawn room. No clock, no files."""

import cv2
import numpy as np

from producers.cards import Image

_Colour = tuple[int, int, int]


def room(random: np.random.Generator, width: int, height: int) -> Image:
    """Draw a room with wall, floor and furniture as (height, width, 3) uint8 BGR."""
    floor_at = round(height * random.uniform(0.62, 0.75))
    frame = np.empty((height, width, 3), np.float32)
    frame[:floor_at] = _surface(random, (floor_at, width), (120, 215))
    frame[floor_at:] = _surface(random, (height - floor_at, width), (60, 150))
    canvas = np.clip(frame, 0, 255).astype(np.uint8)
    _boards(random, canvas, floor_at)
    skirting = max(height // 50, 2)
    cv2.rectangle(canvas, (0, floor_at - skirting), (width, floor_at), _tone(random, 150, 235), -1)
    pieces = [_window, _picture, _shelf, _door, _table, _plant]
    places = (np.arange(len(pieces)) + random.uniform(0.1, 0.9, len(pieces))) / len(pieces)
    for index, place in zip(random.permutation(len(pieces)), places, strict=True):
        pieces[index](random, canvas, round(place * width), floor_at)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), max(height / 900, 0.4)), np.uint8)


def _tone(random: np.random.Generator, low: int, high: int) -> _Colour:
    grey = random.uniform(low, high)
    blue, green, red = np.clip(grey + random.normal(0, 18, 3), 0, 255)
    return int(blue), int(green), int(red)


def _surface(
    random: np.random.Generator, size: tuple[int, int], lightness: tuple[int, int]
) -> Image:
    """Return plaster: a base colour, a gradient of light and blotches of several sizes."""
    height, width = size
    light = np.linspace(random.uniform(0.85, 1.1), random.uniform(0.85, 1.1), width)
    fall = np.linspace(1.05, random.uniform(0.8, 1.0), height)
    plane = np.outer(fall, light).astype(np.float32)
    for cells, strength in ((6, 0.05), (40, 0.025), (200, 0.015)):
        blotches = random.normal(0, strength, (max(cells * height // width, 2), cells))
        plane += cv2.resize(blotches.astype(np.float32), (width, height))
    base = np.array(_tone(random, *lightness), np.float32)
    return np.asarray(plane[..., None] * base)


def _boards(random: np.random.Generator, canvas: Image, floor_at: int) -> None:
    height, width = canvas.shape[:2]
    colour = _tone(random, 30, 90)
    vanishing = (round(width * random.uniform(0.3, 0.7)), round(floor_at - height * 0.4))
    for x in range(-2 * width, 3 * width, max(width // 7, 8)):
        near = (x, height)
        part = (floor_at - height) / (vanishing[1] - height)
        far = (round(x + (vanishing[0] - x) * part), floor_at)
        cv2.line(canvas, near, far, colour, max(height // 400, 1), cv2.LINE_AA)


def _window(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    wide, high = round(height * random.uniform(0.2, 0.3)), round(height * random.uniform(0.25, 0.4))
    top, frame = round(floor_at * 0.15), _tone(random, 190, 250)
    cv2.rectangle(canvas, (x, top), (x + wide, top + high), frame, -1)
    thick = max(height // 80, 2)
    for column in range(2):
        for row in range(2):
            left = x + thick + column * (wide // 2)
            upper = top + thick + row * (high // 2)
            lower = (left + wide // 2 - 2 * thick, upper + high // 2 - 2 * thick)
            cv2.rectangle(canvas, (left, upper), lower, _tone(random, 170, 245), -1)


def _picture(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    wide, high = (round(height * random.uniform(0.1, 0.2)) for _ in range(2))
    top = round(floor_at * random.uniform(0.1, 0.4))
    cv2.rectangle(canvas, (x, top), (x + wide, top + high), _tone(random, 20, 110), -1)
    edge = max(height // 90, 2)
    inner = canvas[top + edge : top + high - edge, x + edge : x + wide - edge]
    if inner.size:
        painted = random.uniform(30, 230, (3, 4, 3)).astype(np.float32)
        inner[:] = np.clip(cv2.resize(painted, inner.shape[1::-1], interpolation=cv2.INTER_CUBIC),
                           0, 255).astype(np.uint8)  # fmt: skip


def _shelf(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    wide, high = round(height * 0.3), round(height * random.uniform(0.3, 0.5))
    top = floor_at - high
    cv2.rectangle(canvas, (x, top), (x + wide, floor_at), _tone(random, 50, 120), -1)
    board = high // 3
    for row in range(3):
        bottom, left = top + (row + 1) * board - max(height // 100, 2), x + 4
        cv2.rectangle(canvas, (x + 4, bottom - board + 8), (x + wide - 4, bottom), (28, 32, 36), -1)
        while left < x + wide - 10:
            thick = int(random.integers(5, 6 + height // 40))
            upper = bottom - round(board * random.uniform(0.5, 0.85))
            right = min(left + thick, x + wide - 6)
            cv2.rectangle(canvas, (left, upper), (right, bottom), _tone(random, 30, 200), -1)
            left += thick + 1


def _door(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    wide, top, colour = round(height * 0.24), round(floor_at * 0.18), _tone(random, 80, 200)
    cv2.rectangle(canvas, (x - 6, top - 6), (x + wide + 6, floor_at), _tone(random, 150, 230), -1)
    cv2.rectangle(canvas, (x, top), (x + wide, floor_at), colour, -1)
    darker = (colour[0] * 3 // 4, colour[1] * 3 // 4, colour[2] * 3 // 4)
    for upper, lower in ((0.08, 0.45), (0.55, 0.92)):
        first = (x + wide // 6, round(top + (floor_at - top) * upper))
        last = (x + wide * 5 // 6, round(top + (floor_at - top) * lower))
        cv2.rectangle(canvas, first, last, darker, max(height // 240, 1), cv2.LINE_AA)
    knob = (x + wide // 10, (top + floor_at) // 2)
    cv2.circle(canvas, knob, max(height // 90, 2), (90, 170, 200), -1, cv2.LINE_AA)


def _table(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    wide, thick, colour = round(height * 0.5), max(height // 40, 3), _tone(random, 60, 150)
    top = floor_at - round(height * random.uniform(0.02, 0.1))
    foot = round(floor_at + height * 0.14)
    for leg in (x + thick, x + wide - 2 * thick):
        cv2.rectangle(canvas, (leg, top), (leg + thick, foot), colour, -1)
    cv2.rectangle(canvas, (x, top), (x + wide, top + thick), colour, -1)
    mug = (x + wide // 3, top - round(height * 0.05))
    cv2.rectangle(canvas, mug, (mug[0] + height // 30, top), _tone(random, 80, 230), -1)


def _plant(random: np.random.Generator, canvas: Image, x: int, floor_at: int) -> None:
    height = canvas.shape[0]
    pot, base = round(height * 0.05), floor_at + round(height * 0.04)
    for _ in range(14):
        across, up = random.uniform(-2.4, 2.4) * pot, random.uniform(1.5, 5.0) * pot
        leaf = (round(x + across), round(base - pot - up))
        green = (int(random.integers(30, 70)), int(random.integers(80, 150)), 50)
        cv2.line(canvas, (x, base - pot), leaf, (40, 80, 50), 2, cv2.LINE_AA)
        cv2.ellipse(canvas, leaf, (pot, pot // 3), float(random.uniform(0, 180)), 0, 360, green, -1,
                    cv2.LINE_AA)  # fmt: skip
    corners = np.array([(x - pot, base - pot), (x + pot, base - pot), (x + pot // 2, base + pot),
                        (x - pot // 2, base + pot)])  # fmt: skip
    cv2.fillPoly(canvas, [corners], _tone(random, 70, 150), cv2.LINE_AA)
