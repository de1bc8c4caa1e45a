"""Cuts crops out of scenes exactly as serving does, with a detector's inaccuracy. Pure."""

from collections.abc import Iterator

import cv2
import numpy as np

from producers.cards import Image
from training.cards.compose import Box, Scene
from training.cards.surroundings import Random

MARGIN = 0.15
"""Added to a box on each side, as a part of that side's length."""
SIDE = 224
"""Crops are stretched to this height and width."""
MIN_SIDE = 16
"""Smaller boxes get no look."""
CLASSES = ("small_gun", "big_gun", "phone", "umbrella", "empty")


def cut(frame: Image, box: Box) -> Image | None:
    """Return the crop of a box as (224, 224, 3) uint8; None if it is too small."""
    left, top, right, bottom = box
    across, down = (right - left) * MARGIN, (bottom - top) * MARGIN
    height, width = frame.shape[:2]
    first_x, first_y = max(round(left - across), 0), max(round(top - down), 0)
    last_x, last_y = min(round(right + across), width), min(round(bottom + down), height)
    if min(last_x - first_x, last_y - first_y) < MIN_SIDE:
        return None
    piece = frame[first_y:last_y, first_x:last_x]
    return np.asarray(cv2.resize(piece, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def jitter(random: Random, box: Box) -> Box:
    """Return the box as a detector might have found it."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    off = np.clip(random.normal(0, 0.06, 4), -0.18, 0.18)
    return (
        left + off[0] * wide, top + off[1] * high, right + off[2] * wide, bottom + off[3] * high,
    )  # fmt: skip


def overlap(a: Box, b: Box) -> float:
    """Return the area of two boxes' intersection as a part of the smaller one's."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(wide, 0) * max(high, 0) / max(smaller, 1e-6)


def crops(random: Random, scene: Scene) -> Iterator[tuple[str, Image]]:
    """Yield label and crop: cards two times each, what is no card, and bare background."""
    for placed in scene.cards:
        label = "empty" if placed.card.label == "blank" else placed.card.label
        if placed.visible < 0.45 or placed.box[2] - placed.box[0] < 28:
            continue
        for _ in range(2 if label != "empty" else 1):
            piece = cut(scene.image, jitter(random, placed.box))
            if piece is not None:
                yield label, piece
    for box in (*scene.others, *_anywhere(random, scene)):
        if all(overlap(box, placed.box) < 0.05 for placed in scene.cards):
            piece = cut(scene.image, jitter(random, box))
            if piece is not None:
                yield "empty", piece


def _anywhere(random: Random, scene: Scene) -> list[Box]:
    height, width = scene.image.shape[:2]
    boxes = []
    for _ in range(int(random.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):
        wide, high = np.exp(random.uniform(np.log(20), np.log(height * 0.6), 2))
        left, top = random.uniform(0, width - wide / 2), random.uniform(0, height - high / 2)
        boxes.append((left, top, left + wide, top + high))
    return boxes
