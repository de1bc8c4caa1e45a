"""What is really in a clip, and whether the alerts agree with it. No clock, no network."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from secondlook.errors import ConfigError
from secondlook.messages import Slug, summarise

EARLY_S = 0.5
"""An alert may come this long before its true episode: the truth is exact to a few frames."""
LATE_S = 1.5
"""And this long after its end: the deciding look was taken while the thing was still there."""

Seconds = Annotated[float, Field(ge=0)]
BoxAt = tuple[Annotated[int, Field(ge=0)], float, float, float, float]
"""Index of a frame, then left, top, right and bottom in pixels of the frame as captured."""


class Thing(BaseModel):
    """One thing, where it is in each frame that shows at least a fifth of it."""

    model_config = ConfigDict(frozen=True)

    label: Slug
    card: str = ""
    """What exactly it is, for people."""
    boxes: tuple[BoxAt, ...] = ()
    """Empty: nobody wrote down where it is."""


class TrueEpisode(Thing):
    """One thing well in view, from when to when, in seconds of the clip."""

    start_s: Seconds
    end_s: Seconds

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end_s < self.start_s:
            raise ValueError(f"end_s {self.end_s:g} comes before start_s {self.start_s:g}")
        return self


class Truth(BaseModel):
    """Everything that is in view in a clip."""

    model_config = ConfigDict(frozen=True)

    fps: Annotated[float, Field(gt=0)]
    frames: Annotated[int, Field(gt=0)]
    episodes: list[TrueEpisode]
    others: list[Thing] = []
    """In view, but never well enough: an alert on one is neither asked for nor false."""

    @property
    def duration_s(self) -> float:
        """Length of the clip in seconds."""
        return self.frames / self.fps

    @property
    def has_boxes(self) -> bool:
        """Whether it says where things are, and not only when."""
        return all(episode.boxes for episode in self.episodes)

    @classmethod
    def read(cls, path: Path) -> "Truth":
        """Read the file beside a clip.

        Raises:
            ConfigError: It is missing or not readable.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise ConfigError(f"{path} is no ground truth: {summarise(error)}") from None


@dataclass(frozen=True)
class Raised:
    """A `new` alert that came."""

    id: str
    label: str
    at_s: float
    """Time in the clip of the frame that decided."""
    came_s: float
    """Time in the clip at which the alert had arrived."""


@dataclass(frozen=True)
class Outcome:
    """A true episode and the alert that it got."""

    episode: TrueEpisode
    raised: Raised | None

    @property
    def delay_s(self) -> float | None:
        """From the start of the true episode until the alert had arrived."""
        return None if self.raised is None else self.raised.came_s - self.episode.start_s


@dataclass(frozen=True)
class Judgement:
    """Whether the alerts were those that the truth asks for."""

    outcomes: list[Outcome]
    unexpected: list[Raised]

    @property
    def right(self) -> bool:
        """Whether every expected alert came, once, and no other."""
        return not self.unexpected and all(outcome.raised for outcome in self.outcomes)


def judge(truth: Truth, alert_labels: Collection[str], raised: Sequence[Raised]) -> Judgement:
    """Give each true episode that should alert the first alert that fits it.

    An alert fits an episode with its label while the thing was in view. A second alert of
    the same episode is unexpected, as is one with another label.
    """
    left = list(raised)
    outcomes = []
    for episode in truth.episodes:
        if episode.label not in alert_labels:
            continue
        found = next((r for r in left if _fits(episode, r)), None)
        if found is not None:
            left.remove(found)
        outcomes.append(Outcome(episode, found))
    return Judgement(outcomes, left)


def _fits(episode: TrueEpisode, raised: Raised) -> bool:
    in_view = episode.start_s - EARLY_S <= raised.at_s <= episode.end_s + LATE_S
    return raised.label == episode.label and in_view
