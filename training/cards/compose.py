"""Puts cards into surroundings and says where they are. Pure: a seed in, a scene out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from producers.cards import CARDS, LABELS, Card, Image
from producers.placing import Quad, box_of, draw_card, drawn, paste, quad_of
from producers.rooms import room
from training.cards.camera import camera, compressed, noisy
from training.cards.distractors import distractor
from training.cards.hands import Limb, draw_limbs, hand, seen_part
from training.cards.surfaces import device, glare, on_screen, smeared, worn
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
    """The part of its area that is seen: in the frame, not behind hands or other cards."""
    blur: float = 0.0
    """How far lens, camera and hand smear it, in pixels as a deviation."""


@dataclass(slots=True)
class Scene:
    """A frame with its truth."""

    image: Image
    """(height, width, 3) uint8 BGR."""
    cards: list[Placed] = field(default_factory=list)
    others: list[Box] = field(default_factory=list)
    """Boxes of things that look like cards and are none."""


@dataclass(frozen=True, slots=True)
class Held:
    """A card where it is held, with what holds it."""

    card: Card
    quad: Quad
    body: Quad
    """What hides things behind it: the card itself, or the device that shows it."""
    limbs: list[Limb] = field(default_factory=list)
    blur: float = 0.0
    """Pixels by which it is smeared because it moves, as a deviation."""


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
    held: list[Held] = []
    for _ in range(int(random.choice([0, 1, 2, 3], p=[0.15, 0.5, 0.25, 0.1]))):
        card = _pick(random)
        centre = random.uniform((-0.05, 0.1), (1.05, 0.9)) * (width, height)
        tall = random.uniform(0.07, 0.33) * height
        yaw, pitch = random.uniform(-32, 32), random.uniform(-24, 24)
        quad = quad_of(card, tuple(centre), tall, roll=random.normal(0, 10), yaw=yaw, pitch=pitch)
        if _overlaps(quad, held):
            continue
        draw_card(scene.image, card, quad, light=level)
        held.append(Held(card, quad, quad))
    scene.image = noisy(random, scene.image, random.uniform(0, 4))
    if random.random() < 0.5:
        scene.image = compressed(scene.image, int(random.integers(40, 96)))
    scene.cards = [seen for _, seen in placed(held, width, height)]
    return scene


def _rich(random: Random, photographs: Sequence[Image]) -> Scene:
    width, height = SIZES[int(random.integers(len(SIZES)))]
    scene = Scene(background(random, width, height, photographs))
    held: list[Held] = []
    for _ in range(int(random.choice([0, 1, 2, 4], p=[0.3, 0.35, 0.25, 0.1]))):
        put_distractor(random, scene)
    for _ in range(int(random.choice([0, 1, 2, 3, 4], p=[0.14, 0.44, 0.24, 0.12, 0.06]))):
        put_card(random, scene.image, _pick(random), held)
    eye = camera(random)
    scene.image = eye.take(random, scene.image)
    scene.cards = [seen for _, seen in placed(held, width, height, eye.softness)]
    return scene


def _pick(random: Random) -> Card:
    """Choose a card: labels first, so that each is as frequent as the others."""
    label = LABELS[int(random.integers(len(LABELS)))]
    choice = [card for card in CARDS if card.label == label]
    return choice[int(random.integers(len(choice)))]


def _overlaps(quad: Quad, others: list[Held]) -> bool:
    area = float(cv2.contourArea(quad))
    return any(
        cv2.intersectConvexConvex(quad, other.quad)[0]
        > 0.1 * min(area, float(cv2.contourArea(other.quad)))
        for other in others
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


def put_card(random: Random, frame: Image, card: Card, held: list[Held]) -> None:
    """Draw a card as it might be held, in place, and add it to `held` unless there is no room."""
    size = (frame.shape[1], frame.shape[0])
    for _ in range(8):
        quad = some_quad(random, size, card.width)
        if not _overlaps(quad, held):
            break
    else:
        return
    way = (0.0, 0.0)
    if random.random() < 0.3:
        # As a hand moves it: further in the frame the nearer it is.
        reach = float(np.linalg.norm(quad[1] - quad[2])) * abs(random.normal(0, 0.12))
        angle = random.uniform(0, 2 * np.pi)
        way = (reach * float(np.cos(angle)), reach * float(np.sin(angle)))
    held.append(hold_card(random, frame, card, quad, way=way))


def hold_card(
    random: Random,
    frame: Image,
    card: Card,
    quad: Quad,
    *,
    way: tuple[float, float] = (0.0, 0.0),
    picture: Image | None = None,
    edge: int | None = None,
) -> Held:
    """Draw a card with everything that may happen to it, in place.

    Args:
        random: Decides; the same state draws the same paper or screen in the same hand.
        frame: What is drawn into, (height, width, 3) uint8 BGR.
        card: What is shown.
        quad: Its corners.
        way: Pixels, right and down, by which it moves while the shutter is open.
        picture: What is drawn instead of the card's own picture.
        edge: Where a hand holds it, 1 right, 2 below, 3 left; None: by chance, if at all.
    """
    tall = max(np.linalg.norm(quad[1] - quad[2]), np.linalg.norm(quad[3] - quad[0]))
    height = 96 if tall < 90 else 192 if tall < 180 else 384
    picture = drawn(card, height) if picture is None else picture
    body = quad
    if random.random() < 0.25:
        body = device(random, frame, quad)
        picture = on_screen(random, picture)
    else:
        picture = worn(random, picture)
    shiny, gripped = random.random() < 0.15, random.random() < 0.45 or edge is not None
    smeared(frame, picture, quad, way)
    if shiny:
        glare(random, frame, quad)
    limbs = hand(random, quad, edge) if gripped else []
    draw_limbs(frame, limbs)
    return Held(card, quad, body, limbs, float(np.hypot(*way)) / 3.5)


def put_distractor(random: Random, scene: Scene) -> None:
    """Draw something flat that is no card of the kit, in place, and note its box."""
    picture = distractor(random)
    height, width = picture.shape[:2]
    size = (scene.image.shape[1], scene.image.shape[0])
    quad = some_quad(random, size, width / height)
    paste(scene.image, worn(random, picture), quad)
    if random.random() < 0.3:
        draw_limbs(scene.image, hand(random, quad))
    box = box_of(quad, *size)
    if box:
        scene.others.append(box)


def placed(
    held: Sequence[Held], width: int, height: int, softness: float = 0.0
) -> list[tuple[int, Placed]]:
    """Return what is seen of cards drawn in this order, each with its place in the order.

    Args:
        held: As they were drawn, the last one in front.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        softness: The camera's own blur in pixels, as a deviation.
    """
    found = []
    for number, one in enumerate(held):
        box = box_of(one.quad, width, height)
        if box is None:
            continue
        front = held[number + 1 :]
        limbs = [limb for other in held[number:] for limb in other.limbs]
        part = seen_part(one.quad, width, height, [other.body for other in front], limbs)
        found.append((number, Placed(one.card, box, part, float(np.hypot(one.blur, softness)))))
    return found
