"""A camera that does not exist: cards that enter a drawn room, move through it and leave.

Everything follows from the seed; time is the index of a frame. Draws no clock and no files.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from producers.cards import Card, Image, cards_of
from producers.placing import Quad, box_of, draw_card, quad_of, visible_part
from producers.rooms import room

MIN_VISIBLE = 0.6
"""A true episode starts with the first frame in which this part of the card is seen."""
MIN_WIDTH = 32.0
"""…and the card is at least this wide, in pixels."""

_NOISES = 5
_STEPS = (0.0, 0.38, 0.62, 1.0)
"""Parts of a visit at which a card comes, is here, is there and is gone: between two frames it
moves by less than its width, as if held by a hand."""


@dataclass(frozen=True, slots=True)
class TrueEpisode:
    """A card that was really there, seconds counted from the first frame."""

    label: str
    start_s: float
    """Time of the first frame in which the card is seen well enough."""
    end_s: float
    """Time of the last such frame."""
    card: str = ""
    boxes: tuple[tuple[int, tuple[float, float, float, float]], ...] = ()
    """Frame index and (left, top, right, bottom) in pixels of every frame between."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One card from its coming to its leaving, in seconds and parts of the frame's size."""

    card: Card
    start_s: float
    stay_s: float
    path: tuple[tuple[float, float], ...]
    """Four points: outside, here, there, outside again."""
    heights: tuple[float, float]
    roll: float
    sway: float
    turns: tuple[float, float]

    def place(self, at_s: float, width: int, height: int) -> Quad | None:
        """Return the card's corners at second `at_s`, None before and after the visit."""
        part = (at_s - self.start_s) / self.stay_s
        if not 0 <= part < 1:
            return None
        step = int(np.searchsorted(_STEPS, part, side="right")) - 1
        within = (part - _STEPS[step]) / (_STEPS[step + 1] - _STEPS[step])
        here, there = self.path[step], self.path[step + 1]
        # Slow at both ends of each step, so that the card is not in constant motion.
        eased = within * within * (3 - 2 * within)
        x, y = (a + (b - a) * eased for a, b in zip(here, there, strict=True))
        tall = (self.heights[0] + (self.heights[1] - self.heights[0]) * part) * height
        swing = float(np.sin(2 * np.pi * (at_s - self.start_s) / 1.9))
        return quad_of(
            self.card,
            (x * width, y * height),
            tall,
            roll=self.roll + self.sway * swing,
            yaw=self.turns[0] * swing,
            pitch=self.turns[1] * (1 - abs(swing)),
        )


class SyntheticScene:
    """An endless scene; frame and truth of any moment can be asked for in any order."""

    def __init__(
        self,
        seed: int = 1,
        width: int = 1280,
        height: int = 720,
        fps: float = 10.0,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Prepare the room.

        Args:
            seed: Chooses room, cards and their ways.
            width: Of the frames, in pixels.
            height: Of the frames, in pixels.
            fps: Frames per second of the scene's time.
            labels: Show only cards with these labels; None: all.

        Raises:
            ValueError: No card has one of the labels, or a size or rate is not positive.
        """
        if width < 16 or height < 16 or fps <= 0:  # noqa: PLR2004 - the smallest drawable room
            raise ValueError("a synthetic scene needs at least 16x16 pixels and fps above 0")
        self.width, self.height, self.fps = width, height, fps
        self._seed = seed
        self._cards = cards_of(labels)
        self._labels = sorted({card.label for card in self._cards})
        self._lit = lru_cache(maxsize=32)(self._at_light)
        random = np.random.default_rng([seed, 0])
        self._room = room(random, width, height)
        noise = random.normal(0, 3, (_NOISES, height, width, 3))
        self._noises = np.clip(np.round(noise), -12, 12).astype(np.int8)
        self._visit = lru_cache(maxsize=64)(self._plan)

    def frame(self, index: int) -> Image:
        """Draw frame `index` as (height, width, 3) uint8 BGR."""
        at_s = index / self.fps
        level = self._light(at_s)
        frame = self._lit(level).copy()
        for visit in self._visits_at(at_s):
            quad = visit.place(at_s, self.width, self.height)
            if quad is not None:
                draw_card(frame, visit.card, quad, light=level / 100)
        noise = self._noises[(index * 7 + index // 3) % _NOISES]
        return np.asarray(cv2.add(frame, noise, dtype=cv2.CV_8U), np.uint8)

    def episodes(self, until_s: float) -> list[TrueEpisode]:
        """Return the true episodes that start before second `until_s`, in order."""
        found = []
        for visit in itertools.takewhile(lambda v: v.start_s < until_s, self._visits(0)):
            episode = self._episode(visit)
            if episode and episode.start_s < until_s:
                found.append(episode)
        return found

    def _episode(self, visit: _Visit) -> TrueEpisode | None:
        first = int(np.ceil(visit.start_s * self.fps))
        boxes = []
        for index in range(first, int((visit.start_s + visit.stay_s) * self.fps) + 1):
            quad = visit.place(index / self.fps, self.width, self.height)
            if quad is None or visible_part(quad, self.width, self.height) < MIN_VISIBLE:
                continue
            box = box_of(quad, self.width, self.height)
            if box and box[2] - box[0] >= MIN_WIDTH:
                boxes.append((index, box))
        if not boxes:
            return None
        start_s, end_s = boxes[0][0] / self.fps, boxes[-1][0] / self.fps
        return TrueEpisode(visit.card.label, start_s, end_s, visit.card.name, tuple(boxes))

    def _visits(self, first: int) -> Iterator[_Visit]:
        return (self._visit(number) for number in itertools.count(first))

    def _visits_at(self, at_s: float) -> list[_Visit]:
        # Visits never overlap and each takes `_SLOT_S`, so two numbers cover every moment.
        number = int(at_s // _SLOT_S)
        return [self._visit(n) for n in (number - 1, number) if n >= 0]

    def _plan(self, number: int) -> _Visit:
        """Choose card and way of the visit; labels come in shuffled rounds."""
        turn, place = divmod(number, len(self._labels))
        labels = np.random.default_rng([self._seed, 1, turn]).permutation(self._labels)
        random = np.random.default_rng([self._seed, 2, number])
        label = labels[place]
        choice = [card for card in self._cards if card.label == label]
        card = choice[(turn + int(random.integers(len(choice)))) % len(choice)]
        left = random.random() < 0.5  # noqa: PLR2004 - from either side alike
        first_x, last_x = random.uniform(0.14, 0.34, 2)
        first_y, last_y = random.uniform(0.28, 0.72, 2)
        if random.random() < 0.25:  # noqa: PLR2004 - some cross the middle
            first_x, last_x = 0.42, 0.58
        heights = random.uniform(0.085, 0.24, 2)
        if random.random() < 0.2:  # noqa: PLR2004 - some are held close to the camera
            heights *= 1.3
        start_s = number * _SLOT_S + random.uniform(0.6, 1.2)
        out_x = 1.11 if last_x > 0.5 else -0.11  # noqa: PLR2004 - by the nearer side
        path = ((-0.11, first_y), (first_x, first_y), (last_x, last_y), (out_x, last_y))
        return _Visit(
            card=card,
            start_s=float(start_s),
            stay_s=float(random.uniform(4.6, 5.4)),
            path=tuple((float(x if left else 1 - x), float(y)) for x, y in path),
            heights=(float(heights[0]), float(heights[1])),
            roll=float(random.normal(0, 7)),
            sway=float(random.uniform(2, 9)),
            turns=(float(random.uniform(4, 30)), float(random.uniform(-22, 22))),
        )

    def _light(self, at_s: float) -> int:
        """Return the light as a percentage: it changes slowly, in steps of two."""
        wave = 0.92 + 0.1 * np.sin(2 * np.pi * at_s / 41) + 0.04 * np.sin(2 * np.pi * at_s / 13)
        return 2 * round(float(wave) * 50)

    def _at_light(self, level: int) -> Image:
        return np.asarray(cv2.convertScaleAbs(self._room, alpha=level / 100), np.uint8)


_SLOT_S = 7.0
"""Seconds from one visit's earliest start to the next one's: the longest stay and a gap."""
