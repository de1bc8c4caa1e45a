"""Hands that hold a card, and how much of a card is left to see. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.placing import Quad
from training.cards.surroundings import Random, skin

Point = npt.NDArray[np.float64]

_SAMPLES = 24
"""A card is looked at in a grid of so many by so many points."""


@dataclass(frozen=True, slots=True)
class Limb:
    """A finger, hand or arm: everything nearer than half of `thick` to a line."""

    start: Point
    end: Point
    thick: float
    """In pixels."""
    tone: tuple[int, ...]


def hand(random: Random, quad: Quad, edge: int | None = None) -> list[Limb]:
    """Return an arm and fingers that hold a card at one of its edges, in drawing order.

    Args:
        random: Decides.
        quad: The card's corners.
        edge: 1 its right edge, 2 its lower, 3 its left one, held up to be seen: fingers stay near
            it. None: any edge, and some reach across the picture.
    """
    by_chance = int(random.choice([1, 2, 2, 2, 3]))
    side = by_chance if edge is None else edge
    first, second = (np.asarray(quad[i], np.float64) for i in (side, (side + 1) % 4))
    size = float(np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
    grip = first + (second - first) * random.uniform(0.25, 0.75)
    outwards = grip - quad.mean(axis=0)
    outwards = outwards / max(float(np.linalg.norm(outwards)), 1e-3)
    tone, sleeve = skin(random), tuple(int(v) for v in random.uniform(10, 230, 3))
    thick = size * random.uniform(0.07, 0.13)
    wrist = grip + outwards * size * 0.5
    elbow = wrist + outwards * size * 7 + random.normal(0, size * 0.4, 2)
    limbs = [
        Limb(wrist, elbow, thick * 3.4, sleeve),
        Limb(grip + outwards * thick, wrist, thick * 3, tone),
    ]
    along = (second - first) / max(float(np.linalg.norm(second - first)), 1e-3)
    deepest = 0.5 if random.random() < 0.25 and edge is None else 0.28
    for finger in range(int(random.integers(1, 5))):
        base = grip + along * (finger - 1.5) * thick * 1.1 + outwards * thick
        tip = base - outwards * size * random.uniform(0.12, deepest)
        light = random.uniform(0.82, 1.0)
        limbs.append(Limb(base, tip, thick, tuple(int(v * light) for v in tone)))
    return limbs


def draw_limbs(frame: Image, limbs: Sequence[Limb]) -> None:
    """Draw limbs over what is there, in place; thick ones with a darker edge."""
    for limb in limbs:
        first, last = (
            tuple(int(v) for v in np.clip(point, -5000, 5000)) for point in (limb.start, limb.end)
        )
        thick = max(round(limb.thick), 1)
        if thick > 5:  # thinner ones would be all edge
            edge = tuple(int(v * 0.72) for v in limb.tone)
            cv2.line(frame, first, last, edge, thick, cv2.LINE_AA)
            thick -= 2
        cv2.line(frame, first, last, limb.tone, thick, cv2.LINE_AA)


def seen_part(
    quad: Quad, width: int, height: int, quads: Sequence[Quad] = (), limbs: Sequence[Limb] = ()
) -> float:
    """Return which part of a card is seen.

    Args:
        quad: The card's corners.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        quads: What lies in front of it.
        limbs: Hands and arms in front of it.

    Returns:
        0..1, of the quad's area, exact to about 0.02.
    """
    along = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    u, v = (grid.reshape(-1, 1) for grid in np.meshgrid(along, along))
    at = (1 - v) * ((1 - u) * quad[0] + u * quad[1]) + v * ((1 - u) * quad[3] + u * quad[2])
    seen = (at >= 0).all(axis=1) & (at < (width, height)).all(axis=1)
    for other in quads:
        seen &= ~_inside(at, other)
    for limb in limbs:
        seen &= _distance(at, limb) > limb.thick / 2
    return float(seen.mean())


def _inside(points: Point, quad: Quad) -> npt.NDArray[np.bool_]:
    sides = np.roll(quad, -1, axis=0) - quad
    off = points[:, None, :] - quad[None]
    turns = sides[None, :, 0] * off[..., 1] - sides[None, :, 1] * off[..., 0]
    return np.asarray((turns >= 0).all(axis=1) | (turns <= 0).all(axis=1))


def _distance(points: Point, limb: Limb) -> npt.NDArray[np.float64]:
    way = limb.end - limb.start
    part = np.clip((points - limb.start) @ way / max(float(way @ way), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(points - limb.start - part[:, None] * way, axis=1))
