"""What paper, screens and lamps make of a card's picture before a camera sees it. No I/O."""

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.placing import Quad, paste
from training.cards.surroundings import Random, colour

Floats = npt.NDArray[np.float32]


def _pixels(values: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def worn(random: Random, picture: Image) -> Image:
    """Return a printed picture as printers, paper and light leave it."""
    seen: Floats = picture.astype(np.float32)
    if random.random() < 0.15:
        seen[:] = seen.mean(axis=2, keepdims=True)
    if random.random() < 0.5:
        # Faded ink on paper that is not white.
        low, high = random.uniform(0, 60), random.uniform(190, 255)
        seen = np.asarray(low + seen * (high - low) / 255, np.float32)
    if random.random() < 0.4:
        seen *= random.uniform(0.86, 1.08, 3).astype(np.float32)
    if random.random() < 0.5:
        seen *= _slope(random, picture, 0.35)[..., None]
    if random.random() < 0.4:
        return bend(random, _pixels(seen))
    return _pixels(seen)


def _slope(random: Random, picture: Image, depth: float) -> Floats:
    height, width = picture.shape[:2]
    across = np.linspace(random.uniform(-1, 1), random.uniform(-1, 1), width)
    down = np.linspace(random.uniform(-1, 1), random.uniform(-1, 1), height)
    return np.asarray(1 - depth / 2 * np.abs(down[:, None] + across[None, :]), np.float32)


def bend(random: Random, picture: Image) -> Image:
    """Return the picture on paper that is curved, its edges staying where they are."""
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    strength = random.uniform(-0.10, 0.10)
    along = x / width if random.random() < 0.6 else y / height
    wave = np.sin(np.pi * along)
    y = y + height * strength * wave * (1 - 2 * y / height)
    x = x + width * strength * 0.5 * wave * (1 - 2 * x / width)
    bent = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = 1 + random.uniform(-0.25, 0.1) * wave
    return _pixels(bent * shade[..., None])


def glare(random: Random, frame: Image, quad: Quad) -> None:
    """Put a bright spot, as of a lamp on glossy paper or glass, on the card, in place."""
    left, top = np.maximum(np.floor(quad.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    at, spread = random.uniform(0, 1, 2), random.uniform(0.1, 0.35)
    shape, strength = np.exp(random.uniform(-0.8, 0.8)), random.uniform(60, 190)
    region = frame[top : max(bottom, 0), left : max(right, 0)]
    if not region.size:
        return
    height, width = region.shape[:2]
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    far = ((x - at[0]) * shape) ** 2 + ((y - at[1]) / shape) ** 2
    spot = np.exp(-far / (2 * spread**2))[..., None] * strength
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.round(quad - (left, top)).astype(np.int32)], (1,))
    region[:] = _pixels(region + spot * inside[..., None])


def on_screen(random: Random, picture: Image) -> Image:
    """Return the picture as a screen shows it: its own light, soft subpixels, rows and moire."""
    height, width = picture.shape[:2]
    seen = picture.astype(np.float32) * random.uniform(0.7, 1.2) + random.uniform(0, 26)
    seen *= np.array([random.uniform(0.95, 1.12), 1.0, random.uniform(0.88, 1.03)], np.float32)
    if random.random() < 0.5:
        # Red and blue stand a third of a pixel to the left and to the right of green.
        seen[..., 2] = np.roll(seen[..., 2], 1, axis=1)
        seen[..., 0] = np.roll(seen[..., 0], -1, axis=1)
        seen = np.asarray(cv2.blur(seen, (3, 1)), np.float32)
    if random.random() < 0.4:
        seen[:: int(random.integers(2, 5))] *= random.uniform(0.85, 0.97)
    if random.random() < 0.6:
        seen *= _moire(random, width, height)
    return _pixels(seen)


def _moire(random: Random, width: int, height: int) -> Floats:
    """Return (height, width, 3) factors: the beat of a screen's grid with a camera's."""
    waves = random.uniform(3, 40) * np.array([width / height, 1.0])
    angle, depth = random.uniform(0, np.pi), random.uniform(0.02, 0.14)
    turn = np.array([np.cos(angle), np.sin(angle)]) * waves
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    bow = random.normal(0, 1.2) * (x - 0.5) * (y - 0.5) * 2 * np.pi
    phase = 2 * np.pi * (turn[0] * x + turn[1] * y) + bow
    colours = random.uniform(0, 1.6, 3)
    return np.asarray(1 + depth * np.sin(phase[..., None] + colours), np.float32)


def device(random: Random, frame: Image, quad: Quad) -> Quad:
    """Draw the phone, tablet or monitor that shows a picture in `quad`, in place.

    Returns:
        Its outline, which hides what is behind it.
    """
    kind = int(random.choice([0, 0, 1, 2]))
    if kind == 2:  # a monitor: the picture is a window among others
        shown, rim, page = random.uniform(1.15, 2.0, 2), random.uniform(1.03, 1.07), colour(random)
    else:
        # One direction is filled, in the other a bar is left on both sides.
        shown = np.array([1.02, random.uniform(1.02, 1.7)])[:: int(random.choice([1, -1]))]
        rim = random.uniform(1.04, 1.1) if kind == 0 else random.uniform(1.1, 1.2)
        bright = random.random() < 0.3
        page = (235, 240, 240) if bright else (18, 16, 16)
    if random.random() < 0.6:
        _glow(frame, grown(quad, shown * rim * 1.6), random.uniform(0.05, 0.3))
    body = grown(quad, shown * rim)
    paste(frame, _flat(random.uniform(5, 70) + np.zeros(3)), body)
    paste(frame, _flat(np.array(page) * random.uniform(0.7, 1.0)), grown(quad, shown))
    return body


def _flat(tone: npt.NDArray[np.floating]) -> Image:
    return np.full((8, 8, 3), np.clip(tone, 0, 255), np.uint8)


def grown(quad: Quad, factors: npt.NDArray[np.floating]) -> Quad:
    """Return the quad made wider and higher by two factors, its middle staying where it is."""
    upper_left, upper_right, lower_right, lower_left = quad.astype(np.float64)
    across = (upper_right + lower_right - upper_left - lower_left) / 4
    down = (lower_left + lower_right - upper_left - upper_right) / 4
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    added = [a * (factors[0] - 1) * across + b * (factors[1] - 1) * down for a, b in signs]
    return np.asarray(quad + np.array(added), np.float32)


def _glow(frame: Image, quad: Quad, strength: float) -> None:
    """Add the light that a screen throws around itself, in place."""
    height, width = frame.shape[:2]
    left, top = np.maximum(np.floor(quad.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(quad.max(axis=0)).astype(int), (width, height))
    region = frame[top : max(bottom, 0), left : max(right, 0)]
    if not region.size:
        return
    x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in region.shape[1::-1])
    light = np.clip(1 - x[None, :] ** 2, 0, 1) * np.clip(1 - y[:, None] ** 2, 0, 1) * 255 * strength
    layer = cv2.merge([light * 1.05, light, light * 0.92])
    region[:] = cv2.add(region, layer.astype(np.uint8))


def smeared(frame: Image, picture: Image, quad: Quad, way: tuple[float, float]) -> None:
    """Draw a picture that moves by `way` pixels while the shutter is open, in place."""
    steps = min(round(float(np.hypot(*way)) / 1.5) + 1, 9)
    if steps < 2:  # it stands still
        paste(frame, picture, quad)
        return
    reach = np.abs(way) / 2 + 2
    left, top = np.maximum(np.floor(quad.min(axis=0) - reach).astype(int), 0)
    right, bottom = np.ceil(quad.max(axis=0) + reach).astype(int)
    region = frame[top : max(bottom, 0), left : max(right, 0)]
    if not region.size:
        return
    total = np.zeros(region.shape, np.float32)
    for part in np.linspace(-0.5, 0.5, steps):
        layer = region.copy()
        moved = quad - (left, top) + part * np.array(way)
        paste(layer, picture, moved.astype(np.float32))
        cv2.accumulate(layer, total)
    region[:] = _pixels(np.round(total / steps))
