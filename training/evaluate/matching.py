"""Which crop shows what, and which alert belongs to which true episode. No files, no models."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from secondlook.local.truth import EARLY_S, LATE_S, Thing, TrueEpisode, Truth
from secondlook.messages import Box

BACKGROUND = "background"
"""The truth of a crop that shows nothing that anybody held up: a false find."""
OVERLAP = 0.3
"""Intersection over union from which a box is that of a thing; a centre inside does as well."""
NEAR_FRAMES = 3
"""An alert shows a look that may be some frames away from the nearest box written down."""

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a crop really shows."""

    label: str | None
    """`background`: nothing. None: nobody knows, because several things were in view."""
    thing: int | None = None
    """Its number among the clip's things: first the episodes, then the others."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A `new` alert: one that arrived, or one that a replay would raise."""

    id: str
    label: str
    at_s: float
    """Time in the clip of the frame that it shows."""
    decided_s: float
    """Time in the clip of the look that decided."""
    box: Box
    came_ns: int | None = None
    """Unix time at which it had arrived."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A true episode that should alert, and what it got."""

    episode: TrueEpisode
    thing: int
    alarms: tuple[Alarm, ...]
    """Those with its label, in order."""
    mislabelled: tuple[Alarm, ...]
    """Those with another alert label."""


@dataclass(frozen=True, slots=True)
class Matched:
    """All alarms of a clip, given to what they are about."""

    outcomes: tuple[Outcome, ...]
    false: tuple[Alarm, ...]
    """About nothing that should alert."""
    others: tuple[Alarm, ...]
    """About a thing that should alert but never is well in view: neither right nor false."""


class Things:
    """What is in view in a clip, and when and where.

    Args:
        truth: Of the clip.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.all: tuple[Thing, ...] = (*truth.episodes, *truth.others)
        self.exact = truth.has_boxes
        """Whether boxes tell what is what; else only the time does."""
        self._boxes: list[dict[int, Corners]] = [
            {index: (x1, y1, x2, y2) for index, x1, y1, x2, y2 in thing.boxes} for thing in self.all
        ]

    def shown(self, at_s: float, box: Box) -> Shown:
        """Return what the crop of a detection shows."""
        if not self.exact:
            return self._by_time(at_s)
        frame = round(at_s * self.truth.fps)
        best, best_fit = None, 0.0
        for number, boxes in enumerate(self._boxes):
            if frame in boxes and (fit := _fit(box, boxes[frame])) > best_fit:
                best, best_fit = number, fit
        return Shown(BACKGROUND) if best is None else Shown(self.all[best].label, best)

    def _by_time(self, at_s: float) -> Shown:
        there = [
            number
            for number, episode in enumerate(self.truth.episodes)
            if episode.start_s - EARLY_S <= at_s <= episode.end_s + EARLY_S
        ]
        if not there:
            return Shown(BACKGROUND)
        return Shown(self.all[there[0]].label, there[0]) if len(there) == 1 else Shown(None)

    def fit(self, number: int, alarm: Alarm) -> float:
        """Return how well an alarm fits a thing: 0 not at all, else more is better."""
        thing = self.all[number]
        if isinstance(thing, TrueEpisode):
            early, late = thing.start_s - EARLY_S, thing.end_s + LATE_S
            if not early <= alarm.at_s <= late and not self._is_there(number, alarm.at_s):
                return 0.0
        if not self.exact:
            return 1.0 if isinstance(thing, TrueEpisode) else 0.0
        frame, boxes = round(alarm.at_s * self.truth.fps), self._boxes[number]
        near = [boxes[i] for i in range(frame - NEAR_FRAMES, frame + NEAR_FRAMES + 1) if i in boxes]
        return max((_fit(alarm.box, each) for each in near), default=0.0)

    def _is_there(self, number: int, at_s: float) -> bool:
        return round(at_s * self.truth.fps) in self._boxes[number]


def match(
    things: Things, alarms: Sequence[Alarm], labels: Collection[str], *, blind: bool = False
) -> Matched:
    """Give each alarm to the thing that it is about.

    Args:
        things: Of the clip.
        alarms: In the order they were raised.
        labels: Those that alert.
        blind: The alarms know no labels (one stage): any label is right.
    """
    given: dict[int, list[Alarm]] = {}
    false: list[Alarm] = []
    for alarm in alarms:
        fits = [
            (alarm.label == thing.label or blind, things.fit(number, alarm), -number)
            for number, thing in enumerate(things.all)
            if thing.label in labels
        ]
        best = max((each for each in fits if each[1] > 0), default=None)
        if best is None:
            false.append(alarm)
        else:
            given.setdefault(-best[2], []).append(alarm)
    outcomes = []
    for number, episode in enumerate(things.truth.episodes):
        if episode.label in labels:
            ours = given.pop(number, [])
            right = tuple(a for a in ours if blind or a.label == episode.label)
            wrong = tuple(a for a in ours if a not in right)
            outcomes.append(Outcome(episode, number, right, wrong))
    others = tuple(alarm for left in given.values() for alarm in left)
    return Matched(tuple(outcomes), tuple(false), others)


def _fit(box: Box, corners: Corners) -> float:
    """Return 0 for another place, else 1 and more: more for more overlap."""
    x1, y1, x2, y2 = corners
    across, down = min(box.x2, x2) - max(box.x1, x1), min(box.y2, y2) - max(box.y1, y1)
    both = across * down if across > 0 and down > 0 else 0.0
    overlap = both / (box.width * box.height + (x2 - x1) * (y2 - y1) - both)
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    inside = x1 <= x <= x2 and y1 <= y <= y2
    return 1.0 + overlap if overlap >= OVERLAP or inside else 0.0
