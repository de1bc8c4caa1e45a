"""Puts cards into surroundings and says where they are. Pure: a seed in, a scene out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from producers.cards import CARDS, LABELS, Card, Image
from producers.placing import Quad, box_of, draw_card, drawn, paste, quad_of, visible_part
from producers.rooms import room
from training.cards import camera
from training.cards.distractors import distractor
from training.cards.surroundings import Random, background

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

SIZES = ((1280, 720), (1280, 720), (1280, 720), (960, 540), (640, 480), (640, 360), (1920, 1080))


@dataclass(frozen=True, slots=True)
class Placed:
    """A card in a scene."""

    card: Card
    box: Box
    """What of it is in the frame."""
    visible: float
    """The part of its area that is seen."""


@dataclass(slots=True)
class Scene:
    """A frame with its truth."""

    image: Image
    """(height, width, 3) uint8 BGR."""
    cards: list[Placed] = field(default_factory=list)
    others: list[Box] = field(default_factory=list)
    """Boxes of things that look like cards and are none."""


def compose(seed: int, index: int, photographs: Sequence[Image] = ()) -> Scene:
    """Return scene `index` of a seed: every fifth in the plain style of the synthetic camera."""
    random = np.random.default_rng([seed, index])
    return _plain(random) if index % 5 == 0 else _rich(random, photographs)


def _plain(random: Random) -> Scene:
    """Return a frame as producers/scenes.py would draw it, sometimes compressed as by a stream."""
    width, height = (1280, 720) if random.random() < 0.7 else (640, 360)
    level = random.uniform(0.72, 1.12)
    frame = cv2.convertScaleAbs(room(random, width, height), alpha=level)
    scene = Scene(np.asarray(frame, np.uint8))
    quads: list[tuple[Card, Quad]] = []
    for _ in range(int(random.choice([0, 1, 2, 3], p=[0.15, 0.5, 0.25, 0.1]))):
        card = _pick(random)
        centre = random.uniform((-0.05, 0.1), (1.05, 0.9)) * (width, height)
        tall = random.uniform(0.07, 0.33) * height
        yaw, pitch = random.uniform(-32, 32), random.uniform(-24, 24)
        quad = quad_of(card, tuple(centre), tall, roll=random.normal(0, 10), yaw=yaw, pitch=pitch)
        if _overlaps(quad, quads):
            continue
        draw_card(scene.image, card, quad, light=level)
        quads.append((card, quad))
    scene.image = camera.noisy(random, scene.image, random.uniform(0, 4))
    if random.random() < 0.5:
        scene.image = camera.compressed(scene.image, int(random.integers(40, 96)))
    _note(scene, quads)
    return scene


def _rich(random: Random, photographs: Sequence[Image]) -> Scene:
    width, height = SIZES[int(random.integers(len(SIZES)))]
    scene = Scene(background(random, width, height, photographs))
    quads: list[tuple[Card, Quad]] = []
    for _ in range(int(random.choice([0, 1, 2, 4], p=[0.3, 0.35, 0.25, 0.1]))):
        _put_distractor(random, scene)
    for _ in range(int(random.choice([0, 1, 2, 3, 4], p=[0.14, 0.44, 0.24, 0.12, 0.06]))):
        put_card(random, scene.image, _pick(random), quads)
    scene.image = camera.shot(random, scene.image)
    _note(scene, quads)
    return scene


def _pick(random: Random) -> Card:
    """Choose a card: labels first, so that each is as frequent as the others."""
    label = LABELS[int(random.integers(len(LABELS)))]
    choice = [card for card in CARDS if card.label == label]
    return choice[int(random.integers(len(choice)))]


def _overlaps(quad: Quad, others: list[tuple[Card, Quad]]) -> bool:
    area = float(cv2.contourArea(quad))
    return any(
        cv2.intersectConvexConvex(quad, other)[0] > 0.1 * min(area, float(cv2.contourArea(other)))
        for _, other in others
    )


def some_quad(random: Random, size: tuple[int, int], shape: float) -> Quad:
    """Return corners of a thing of width `shape` by 1 somewhere in or at the edge of a frame."""
    width, height = size
    smallest = max(20.0, 9.0 * width / 640)
    tall = float(np.exp(random.uniform(np.log(smallest), np.log(height * 0.5))))
    flat = Card("blank", "", shape, (0, 0, 0), (0, 0, 0), 0.0, ())
    centre = random.uniform((-0.02, 0.02), (1.02, 0.98)) * (width, height)
    turned = random.random() < 0.1
    roll = random.uniform(-180, 180) if turned else random.normal(0, 12)
    yaw, pitch = np.clip(random.normal(0, 22, 2), -58, 58)
    return quad_of(flat, tuple(centre), tall, roll=roll, yaw=float(yaw), pitch=float(pitch))


def put_card(random: Random, frame: Image, card: Card, quads: list[tuple[Card, Quad]]) -> None:
    """Draw a card as it might be held, in place, and add it to `quads` unless there is no room."""
    size = (frame.shape[1], frame.shape[0])
    for _ in range(8):
        quad = some_quad(random, size, card.width)
        if not _overlaps(quad, quads):
            break
    else:
        return
    hold_card(random, frame, card, quad)
    quads.append((card, quad))


def hold_card(random: Random, frame: Image, card: Card, quad: Quad) -> None:
    """Draw a card with everything that may happen to it, in place."""
    tall = max(np.linalg.norm(quad[1] - quad[2]), np.linalg.norm(quad[3] - quad[0]))
    height = 96 if tall < 90 else 192 if tall < 180 else 384
    picture = drawn(card, height)
    if random.random() < 0.25:
        camera.bezel(random, frame, quad)
        picture = camera.on_screen(random, picture)
    else:
        picture = camera.worn(random, picture)
    paste(frame, picture, quad)
    if random.random() < 0.15:
        camera.glare(random, frame, quad)
    if random.random() < 0.4:
        camera.hand(random, frame, quad)


def _put_distractor(random: Random, scene: Scene) -> None:
    picture = distractor(random)
    height, width = picture.shape[:2]
    size = (scene.image.shape[1], scene.image.shape[0])
    quad = some_quad(random, size, width / height)
    paste(scene.image, camera.worn(random, picture), quad)
    if random.random() < 0.3:
        camera.hand(random, scene.image, quad)
    box = box_of(quad, *size)
    if box:
        scene.others.append(box)


def _note(scene: Scene, quads: list[tuple[Card, Quad]]) -> None:
    height, width = scene.image.shape[:2]
    for number, (card, quad) in enumerate(quads):
        behind = [other for _, other in quads[number + 1 :]]
        box = box_of(quad, width, height)
        if box:
            scene.cards.append(Placed(card, box, visible_part(quad, width, height, behind)))
