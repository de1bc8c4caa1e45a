"""How a hand carries a card into a frame, holds it up and takes it away. No clock, no pixels."""

from dataclasses import dataclass

import numpy as np

from producers.cards import Card, Image
from producers.placing import Quad, quad_of


@dataclass(frozen=True, slots=True)
class Carried:
    """A card from its coming to its leaving, on the clip's time."""

    card: Card
    start_s: float
    stay_s: float
    at: tuple[float, float]
    """Where it is held, in parts of the frame."""
    tall: float
    """Its height in pixels."""
    side: int
    """From where the hand comes: -1 from the left, 1 from the right, 0 from below."""
    far: tuple[float, float] = (0.75, 0.9)
    """How far away it starts and ends, in parts of the frame's width and height."""
    drift: tuple[float, float] = (0.0, 0.0)
    """How far it goes while it is held, in parts of the frame."""
    nearer: float = 1.0
    """By how much it has grown at the end."""
    come_s: float = 0.7
    """How long it takes to come, and to leave."""
    picture: Image | None = None
    """What is carried if it is no card of the kit; the card then gives its shape alone."""

    def place(self, at_s: float, width: int, height: int) -> Quad | None:
        """Return its corners at second `at_s`, None before it comes and after it is gone."""
        since = at_s - self.start_s
        if not 0 <= since < self.stay_s:
            return None
        away = max(1 - since / self.come_s, 1 - (self.stay_s - since) / self.come_s, 0.0) ** 2
        part = since / self.stay_s
        x = (self.at[0] + self.drift[0] * part + self.side * away * self.far[0]) * width
        y = (self.at[1] + self.drift[1] * part) * height
        y += 0 if self.side else away * height * self.far[1]
        x, y = x + 14 * np.sin(since * 2.1), y + 9 * np.sin(since * 3.3)
        phase = len(self.card.name) * 1.7 + self.start_s
        roll = 9 * np.sin(phase) + 4 * np.sin(since * 2.7)
        yaw = 20 * np.sin(phase * 3) + 9 * np.sin(since)
        pitch = 8 * np.sin(phase * 7 + since)
        tall = self.tall * (1 + 0.08 * np.sin(since * 1.3 + phase))
        tall *= 1 + (self.nearer - 1) * part
        centre = (float(x), float(y))
        return quad_of(
            self.card, centre, float(tall), roll=float(roll), yaw=float(yaw), pitch=float(pitch)
        )

    def way(self, at_s: float, shutter_s: float, width: int, height: int) -> tuple[float, float]:
        """Return by how many pixels, right and down, it moves while the shutter is open."""
        now, before = (self.place(s, width, height) for s in (at_s, at_s - shutter_s))
        if now is None or before is None:
            return (0.0, 0.0)
        right, down = now.mean(axis=0) - before.mean(axis=0)
        return (float(right), float(down))
