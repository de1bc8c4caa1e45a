"""What is done to which part of the system and when: all of it follows from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

COMPONENTS = ("broker", "triton", "producers", "detector", "classifier", "subscriber")
FROZEN_S = (2.0, 12.0)
BEFORE_S = (1.0, 8.0)
AFTER_S = (3.0, 6.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One round."""

    number: int
    component: str
    kind: Literal["kill", "freeze"]
    before_s: float
    """From the round's beginning until it happens."""
    frozen_s: float
    """How long it lasts, for a freeze."""
    after_s: float
    """From the recovery until the next round."""


def plan(seed: int, rounds: int) -> list[Fault]:
    """Return the faults of so many rounds: all components come in turn, in shuffled order."""
    chance = random.Random(seed)
    components: list[str] = []
    while len(components) < rounds:
        components += chance.sample(COMPONENTS, len(COMPONENTS))
    return [
        Fault(
            number=number,
            component=component,
            kind=chance.choice(("kill", "freeze")),
            before_s=chance.uniform(*BEFORE_S),
            frozen_s=chance.uniform(*FROZEN_S),
            after_s=chance.uniform(*AFTER_S),
        )
        for number, component in enumerate(components[:rounds], start=1)
    ]


SCENES = (20, 22, 26, 27, 34, 35, 59, 61, 71, 75, 94, 109)
"""Seeds of synthetic scenes in which, for three minutes, no card comes where one of its label has
just left: such a card continues an open episode, and nothing would tell that it was noticed."""


def scenes(seed: int) -> Iterator[int]:
    """Yield one scene's seed after another, for ever."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(SCENES, len(SCENES))
