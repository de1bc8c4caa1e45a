"""Crops of photographs and of drawn vehicles, as a wrong detector would send them. Pure."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from training.cards.cutting import MIN_SIDE, SIDE
from training.vehicles import vehicle

SMALLEST, LARGEST = 20, 0.9
"""Sides of the boxes: from so many pixels to this part of the photograph's shorter side."""
FLAT = 6.0
"""Standard deviation of the pixels below which a crop shows nothing; few of these are kept."""
KEEP_FLAT = 0.2
VEHICLES = 0.35
"""The part of the crops that are drawn: vehicles that fill the crop, as detectors cut them."""


def negatives(
    random: np.random.Generator, photographs: Sequence[Image], vehicles: float = VEHICLES
) -> Iterator[Image]:
    """Yield crops of (224, 224, 3) uint8 BGR for ever, from anywhere and in any condition.

    Args:
        random: Decides everything.
        photographs: (height, width, 3) uint8 BGR each; without any, all crops are of vehicles.
        vehicles: The part of the crops that show vehicles.
    """
    while True:
        if not photographs or random.random() < vehicles:
            whole = vehicle(random)
            first, last = random.integers(0, 50, 2), len(whole) - random.integers(0, 50, 2)
            drawn = _as_seen(random, whole[first[0] : last[0], first[1] : last[1]])
            yield _stretched(drawn)
            continue
        photograph = photographs[int(random.integers(len(photographs)))]
        piece = _anywhere(random, photograph)
        if piece is None or (piece.std() < FLAT and random.random() > KEEP_FLAT):
            continue
        yield _stretched(_as_seen(random, piece))


def _stretched(piece: Image) -> Image:
    return np.asarray(cv2.resize(piece, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _anywhere(random: np.random.Generator, photograph: Image) -> Image | None:
    height, width = photograph.shape[:2]
    longest = np.log(max(SMALLEST + 1, min(height, width) * LARGEST))
    side, aspect = np.exp(random.uniform(np.log(SMALLEST), longest)), np.exp(random.normal(0, 0.45))
    wide, high = round(side * aspect**0.5), round(side / aspect**0.5)
    if min(wide, high) < MIN_SIDE or wide >= width or high >= height:
        return None
    left, top = random.integers(width - wide), random.integers(height - high)
    return photograph[top : top + high, left : left + wide]


def _as_seen(random: np.random.Generator, piece: Image) -> Image:
    """Return a piece as a camera in some light and distance would give it."""
    seen: npt.NDArray[np.floating] = piece.astype(np.float32)
    if random.random() < 0.5:
        seen = seen * random.uniform(0.4, 1.5) + random.uniform(-40, 40)
    if random.random() < 0.25:
        seen = seen.mean(axis=2, keepdims=True) * random.uniform(0.85, 1.15, 3)
    if random.random() < 0.3:
        part = random.uniform(0.15, 0.6)
        size = (max(MIN_SIDE, int(seen.shape[1] * part)), max(MIN_SIDE, int(seen.shape[0] * part)))
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA))
    if random.random() < 0.3:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), random.uniform(0.5, 2.5)))
    if random.random() < 0.4:
        seen = seen + random.normal(0, random.uniform(2, 12), seen.shape)
    pixels = np.asarray(np.clip(seen, 0, 255), np.uint8)
    if random.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 96))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], cv2.IMREAD_COLOR)
        return np.asarray(decoded, np.uint8)
    return np.asarray(pixels, np.uint8)
