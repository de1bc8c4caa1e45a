"""Cuts crops out of scenes exactly as serving does, with a detector's inaccuracy. Pure."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from producers.cards import Image
from training.cards.compose import Box, Placed, Scene
from training.cards.surroundings import Random

MARGIN = 0.15
"""Added to a box on each side, as a part of that side's length."""
SIDE = 224
"""The demo classifier's input is this high and wide."""
MIN_SIDE = 16
"""Smaller boxes get no look."""
CLASSES = ("small_gun", "big_gun", "phone", "umbrella", "empty")

MIN_SEEN = 0.45
"""Of a card that is hidden more than this, nobody can say what it shows."""
MIN_WIDE, MIN_SHARP = 24.0, 14.0
"""The same goes for one that is fewer pixels wide, or fewer times its own blur."""
SAME, APART = 0.5, 0.3
"""Intersection over union from which a box shows a card, and below which it does not."""


def cut_out(frame: Image, box: Box) -> Image | None:
    """Return what the detector sends of a box, (height, width, 3) uint8; None if too small."""
    left, top, right, bottom = box
    across, down = (right - left) * MARGIN, (bottom - top) * MARGIN
    height, width = frame.shape[:2]
    first_x, first_y = max(round(left - across), 0), max(round(top - down), 0)
    last_x, last_y = min(round(right + across), width), min(round(bottom + down), height)
    if min(last_x - first_x, last_y - first_y) < MIN_SIDE:
        return None
    return frame[first_y:last_y, first_x:last_x]


def cut(frame: Image, box: Box) -> Image | None:
    """Return the crop of a box as (224, 224, 3) uint8; None if it is too small."""
    piece = cut_out(frame, box)
    if piece is None:
        return None
    return np.asarray(cv2.resize(piece, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def jitter(random: Random, box: Box) -> Box:
    """Return the box as a detector might have found it: moved, too large or small, uneven."""
    left, top, right, bottom = box
    size = np.array([right - left, bottom - top])
    # A detector is wrong by parts of a box, and by about a pixel of its own, smaller picture.
    moved = np.clip(random.normal(0, 0.035, 2), -0.09, 0.09) * size + random.normal(0, 0.7, 2)
    grown = np.exp(np.clip(random.normal(0, 0.06, 2), -0.15, 0.15))
    edges = np.clip(random.normal(0, 0.02, 4), -0.05, 0.05) * np.tile(size, 2)
    middle = np.array([left + right, top + bottom]) / 2 + moved
    found = np.concatenate([middle - size * grown / 2, middle + size * grown / 2]) + edges
    return float(found[0]), float(found[1]), float(found[2]), float(found[3])


def overlap(a: Box, b: Box) -> float:
    """Return the area of two boxes' intersection as a part of the smaller one's."""
    smaller = min(_area(a), _area(b))
    return _shared(a, b) / max(smaller, 1e-6)


def agreement(a: Box, b: Box) -> float:
    """Return two boxes' intersection over union."""
    shared = _shared(a, b)
    return shared / max(_area(a) + _area(b) - shared, 1e-6)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(high, 0)


def readable(placed: Placed) -> bool:
    """Say whether somebody who sees the card in its scene could name its label."""
    wide = placed.box[2] - placed.box[0]
    return placed.visible >= MIN_SEEN and wide >= max(MIN_WIDE, MIN_SHARP * placed.blur)


def label_of(placed: Placed) -> str:
    """Return the classifier's label for a card."""
    return "empty" if placed.card.label == "blank" else placed.card.label


def crops(random: Random, scene: Scene) -> Iterator[tuple[str, Image]]:
    """Yield label and crop: suspects two times each, what is no card, and bare background."""
    for placed in filter(readable, scene.cards):
        label = label_of(placed)
        for _ in range(2 if label != "empty" else 1):
            piece = cut_out(scene.image, jitter(random, placed.box))
            if piece is not None:
                yield label, piece
    for box in (*scene.others, *_anywhere(random, scene)):
        if all(overlap(box, placed.box) < 0.05 for placed in scene.cards):
            piece = cut_out(scene.image, jitter(random, box))
            if piece is not None:
                yield "empty", piece


def crops_of_detections(scene: Scene, boxes: Iterable[Box]) -> Iterator[tuple[str, Image]]:
    """Yield label and crop of what a detector found in a scene: its own false finds are `empty`.

    A box that shows half of a suspect card teaches nothing and is left out, as are cards that
    nobody could name.

    Args:
        scene: The scene with its truth.
        boxes: Left, top, right, bottom in pixels of the scene's image.
    """
    suspects = [placed for placed in scene.cards if placed.card.label != "blank"]
    for box in boxes:
        piece = cut_out(scene.image, box)
        if piece is None:
            continue
        best = max(suspects, key=lambda placed: agreement(box, placed.box), default=None)
        if best is not None and agreement(box, best.box) >= SAME:
            if readable(best):
                yield label_of(best), piece
        elif all(
            agreement(box, one.box) < APART and overlap(box, one.box) < SAME for one in suspects
        ):
            yield "empty", piece


def _anywhere(random: Random, scene: Scene) -> list[Box]:
    height, width = scene.image.shape[:2]
    boxes = []
    for _ in range(int(random.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):
        wide, high = np.exp(random.uniform(np.log(20), np.log(height * 0.6), 2))
        left, top = random.uniform(0, width - wide / 2), random.uniform(0, height - high / 2)
        boxes.append((left, top, left + wide, top + high))
    return boxes
