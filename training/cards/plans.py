"""Who shows what, when and where in a held-out clip. Pure: chances in, a plan out."""

from collections.abc import Iterable, Sequence

import numpy as np

from producers.cards import CARDS, Card
from training.cards.carried import Carried
from training.cards.distractors import distractor
from training.cards.surroundings import Random

WIDTH, HEIGHT = 1280, 720
ALERTING = ("small_gun", "big_gun")
LOOKALIKES = ("phone", "phone", "umbrella", "umbrella", "blank")
"""Labels of the cards that must not alert, as often as they come."""

_SLOT_S = 5.6
"""From one true episode's earliest start to the next one's."""
_WIDE = (40.0, 230.0)
"""Widths in pixels; held aslant, the narrowest is still 32 pixels wide."""
_REMEMBERED = 7
"""So many earlier episodes whose places are avoided: a gun that comes back to a place within the
product's cooldown continues an episode and is no new one."""


def plan(random: Random, seconds: float, only: Sequence[str] | None = None) -> list[Carried]:
    """Return what is carried through a clip, in the order in which it is drawn.

    Args:
        random: Decides.
        seconds: Length of the clip.
        only: Labels to show; None: one gun per 5.6 s, slightly more look-alikes, and things
            that are no cards.
    """
    first = [label for label in only or ALERTING if label in ALERTING] or list(only or ())
    second = [label for label in LOOKALIKES if label in (only or LOOKALIKES)] or list(only or ())
    carried: list[Carried] = []
    earlier: list[Carried] = []
    for number in range(int((seconds - 0.2) / _SLOT_S)):
        start_s, stay_s = number * _SLOT_S + random.uniform(0.2, 1.2), random.uniform(2.8, 4.2)
        card = _card(random, first[int(random.integers(len(first)))])
        one = _best(random, [_carry(random, card, start_s, stay_s) for _ in range(24)], earlier)
        carried.append(one)
        earlier = [*earlier, one][-_REMEMBERED:]
    for _ in range(int(seconds / _SLOT_S * 1.15)):
        card = _card(random, second[int(random.integers(len(second)))])
        carried.append(_free(random, card, seconds, carried))
    for _ in range(int(seconds / 20)):
        carried.append(_thing(random, seconds, carried))
    return [carried[i] for i in random.permutation(len(carried))]


def _card(random: Random, label: str) -> Card:
    choice = [card for card in CARDS if card.label == label]
    return choice[int(random.integers(len(choice)))]


def _carry(random: Random, card: Card, start_s: float, stay_s: float) -> Carried:
    wide = float(np.exp(random.uniform(*np.log(_WIDE))))
    tall = wide / card.width
    half = (wide * 0.7 / WIDTH, tall * 0.7 / HEIGHT)
    x = float(random.uniform(half[0] + 0.03, 0.97 - half[0]))
    y = float(random.uniform(half[1] + 0.04, 0.96 - half[1]))
    side = 0 if random.random() < 0.4 else 1 if x > 0.5 else -1
    drift = np.clip(random.normal(0, 0.03, 2), -0.06, 0.06)
    # Outside for good: half of its size away, and as far again as it drifts and sways.
    to_edge = (1 - x if side > 0 else x) + half[0] * 1.2 + 0.08, 1 - y + half[1] * 1.2 + 0.08
    return Carried(
        card=card,
        start_s=float(start_s),
        stay_s=float(stay_s),
        at=(x, y),
        tall=float(tall),
        side=side,
        far=(float(to_edge[0]), float(to_edge[1])),
        drift=(float(drift[0]), float(drift[1])),
        nearer=float(random.uniform(1.0, 1.35)),
        come_s=float(random.uniform(0.55, 1.2)),
    )


def _best(random: Random, offers: Sequence[Carried], earlier: Iterable[Carried]) -> Carried:
    """Return one of the offers that stay clear of earlier places, the clearest if none does."""
    known = list(earlier)
    clear = [min((_apart(offer, other) for other in known), default=9.0) for offer in offers]
    good = [offer for offer, far in zip(offers, clear, strict=True) if far > 1]
    if good:
        return good[int(random.integers(len(good)))]
    return offers[int(np.argmax(clear))]


def _apart(a: Carried, b: Carried) -> float:
    """Return how far apart two things are held, 1: their edges could just touch."""
    size = ((a.tall * a.card.width + b.tall * b.card.width) / 2, (a.tall + b.tall) / 2)
    across = abs(a.at[0] - b.at[0]) * WIDTH / (size[0] + 50)
    down = abs(a.at[1] - b.at[1]) * HEIGHT / (size[1] + 50)
    return float(max(across, down))


def _free(random: Random, card: Card, seconds: float, others: Sequence[Carried]) -> Carried:
    """Return the card carried at some time to where nothing else is held at that time."""
    stay_s = float(random.uniform(2.4, 5.0))
    start_s = float(random.uniform(0, max(seconds - stay_s, 0.1)))
    then = [o for o in others if o.start_s < start_s + stay_s and start_s < o.start_s + o.stay_s]
    return _best(random, [_carry(random, card, start_s, stay_s) for _ in range(12)], then)


def _thing(random: Random, seconds: float, others: Sequence[Carried]) -> Carried:
    """Return something that is no card of the kit, carried like one."""
    picture = distractor(random)
    shape = picture.shape[1] / picture.shape[0]
    flat = Card("blank", "thing", shape, (0, 0, 0), (0, 0, 0), 0.0, ())
    one = _free(random, flat, seconds, others)
    return Carried(
        flat, one.start_s, one.stay_s, one.at, one.tall, one.side, one.far, one.drift, one.nearer,
        one.come_s, picture,
    )  # fmt: skip
