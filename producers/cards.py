"""What is drawn on the demo kit's cards, as vector data, and how a card becomes pixels. No I/O.

It does not know where a card is held: scenes.py and the training's generator place it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from producers import artwork_everyday as everyday
from producers import artwork_guns as guns
from producers import drawing
from producers.drawing import Colour, Shape

Label = Literal["small_gun", "big_gun", "phone", "umbrella", "blank"]
Image = npt.NDArray[np.uint8]

LABELS: tuple[Label, ...] = ("small_gun", "big_gun", "phone", "umbrella", "blank")
"""What a card may show. `blank` is no label of the classifier: it answers `empty` for it."""

_DRAWN_HEIGHT = 800
_SHIFT = 6
"""Binary digits behind the point in OpenCV's drawing coordinates."""


@dataclass(frozen=True, slots=True)
class Card:
    """One printed card: (0, 0) is its upper left corner, (width, 1) its lower right one."""

    label: Label
    name: str
    width: float
    """Width over height; the height is 1."""
    paper: Colour
    border: Colour
    border_width: float
    """Thickness of the border, set in from the edge by as much again; 0: no border."""
    shapes: tuple[Shape, ...]
    """Drawn in order, later ones over earlier ones."""

    def outline(self) -> tuple[Shape, ...]:
        """Return paper and border, which lie below the shapes."""
        paper = Shape(((0, 0), (self.width, 0), (self.width, 1), (0, 1)), self.paper)
        if not self.border_width:
            return (paper,)
        near, right, low = self.border_width, self.width - self.border_width, 1 - self.border_width
        edge = ((near, near), (right, near), (right, low), (near, low), (near, near))
        return (paper, Shape(edge, self.border, self.border_width))


def _card(label: Label, name: str, shapes: tuple[Shape, ...], width: float, style: int = 0) -> Card:
    paper, border, border_width = drawing.PAPERS[style]
    return Card(label, name, width, paper, border, border_width, shapes)


_WIDE, _TALL = 4 / 3, 3 / 4

CARDS: tuple[Card, ...] = (
    _card("small_gun", "pistol", guns.pistol(), _WIDE),
    _card("small_gun", "pistol_right", drawing.mirrored(guns.pistol(1), _WIDE), _WIDE, 1),
    _card("small_gun", "revolver", guns.revolver(), _WIDE, 2),
    _card("small_gun", "revolver_right", drawing.mirrored(guns.revolver(1), _WIDE), _WIDE),
    _card("small_gun", "pocket_pistol", guns.pocket_pistol(), _WIDE, 3),
    _card("small_gun", "pistol_up", drawing.upright(guns.pistol(2), _WIDE), _TALL, 0),
    _card("big_gun", "rifle", guns.rifle(), _WIDE),
    _card("big_gun", "rifle_right", drawing.mirrored(guns.rifle(1), _WIDE), _WIDE, 2),
    _card("big_gun", "carbine", guns.carbine(), _WIDE, 1),
    _card("big_gun", "carbine_right", drawing.mirrored(guns.carbine(1), _WIDE), _WIDE),
    _card("big_gun", "shotgun", guns.shotgun(), _WIDE, 3),
    _card("big_gun", "scoped_rifle", drawing.upright(guns.scoped_rifle(), _WIDE), _TALL),
    _card("phone", "phone_front", everyday.phone_front(), _TALL),
    _card("phone", "phone_back", everyday.phone_back(), _TALL, 2),
    _card("phone", "phone_lying", drawing.lying(everyday.phone_front(1)), _WIDE, 1),
    _card("phone", "phone_keys", everyday.phone_keys(), _TALL, 3),
    _card("phone", "phone_wide", drawing.centred(everyday.phone_front(2), _WIDE), _WIDE),
    _card("phone", "phone_call", drawing.centred(everyday.phone_call(), _WIDE), _WIDE, 2),
    _card("umbrella", "umbrella_open", everyday.umbrella_open(), _WIDE),
    _card("umbrella", "umbrella_striped", everyday.umbrella_open(1), _WIDE, 1),
    _card(
        "umbrella", "umbrella_tilted", drawing.turned(everyday.umbrella_open(2), 25, 2 / 3), _WIDE
    ),
    _card("umbrella", "umbrella_closed", everyday.umbrella_closed(), _TALL, 2),
    _card("umbrella", "umbrella_leaning", drawing.lying(everyday.umbrella_closed(1)), _WIDE, 3),
    _card(
        "umbrella", "umbrella_tall", drawing.centred(everyday.umbrella_open(3), _TALL, 0.6), _TALL
    ),
    _card("blank", "blank", (), _WIDE),
    _card("blank", "blank_tall", (), _TALL, 2),
    _card("blank", "ruled", everyday.ruled(_WIDE), _WIDE, 1),
    _card("blank", "note", everyday.note(_TALL), _TALL, 3),
    _card("blank", "plain", (), _WIDE, 4),
)


def cards_of(labels: Sequence[str] | None = None) -> tuple[Card, ...]:
    """Return the cards with one of `labels`, all of them for None.

    Raises:
        ValueError: No card has one of the labels.
    """
    wanted = LABELS if labels is None else tuple(labels)
    unknown = set(wanted) - set(LABELS)
    if unknown or not wanted:
        raise ValueError(f"no card shows {sorted(unknown)}: choose from {', '.join(LABELS)}")
    return tuple(card for card in CARDS if card.label in wanted)


def rasterise(card: Card, height: int) -> Image:
    """Draw a card, `height` pixels high, as (height, width, 3) uint8 BGR with smooth edges."""
    width = max(round(card.width * height), 1)
    # OpenCV draws every edge about half a pixel too far out, so small cards are drawn large.
    oversampling = max(_DRAWN_HEIGHT // height, 2)
    scale = height * oversampling
    canvas = np.empty((scale, width * oversampling, 3), np.uint8)
    for shape in (*card.outline(), *card.shapes):
        _draw(canvas, shape, scale)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _draw(canvas: Image, shape: Shape, scale: int) -> None:
    # OpenCV's pixel centres are whole numbers, ours lie at halves.
    at = np.asarray(shape.points, np.float64) * scale - 0.5
    points = [np.round(at * (1 << _SHIFT)).astype(np.int32)]
    bgr = shape.colour[::-1]
    if shape.stroke:
        thick = max(round(shape.stroke * scale), 1)
        cv2.polylines(canvas, points, False, bgr, thick, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(canvas, points, bgr, cv2.LINE_AA, _SHIFT)
