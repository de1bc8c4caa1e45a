"""A recorded run, put together: what each camera showed, and what was said about it. No files."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from secondlook.errors import ConfigError
from secondlook.evaluation.record import (
    Alerted,
    Announced,
    Cropped,
    Finished,
    Judged,
    Labelled,
    Line,
    Marked,
    Played,
    Started,
)
from secondlook.local.truth import Truth
from secondlook.messages import Alert, Crop, FrameRef, Seen, TrackEnded, Verdict

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """A crop and its verdict."""

    crop: Crop
    verdict: Verdict
    picture: str

    @property
    def at_s(self) -> float:
        """Time in the clip."""
        return self.crop.frame.media_ns / SECOND


@dataclass(frozen=True, slots=True)
class Arrived:
    """A `new` alert as a subscriber got it."""

    alert: Alert
    received_ns: int


@dataclass(slots=True)
class Clip:
    """What was played as one camera, and what came of it."""

    played: Played
    frames: list[FrameRef] = field(default_factory=list)
    crops: dict[str, Cropped] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    said: list[Crop | TrackEnded | Seen] = field(default_factory=list)
    """Everything that the detector said, in order."""
    arrived: list[Arrived] = field(default_factory=list)
    """The `new` alerts."""
    reopened: list[Arrived] = field(default_factory=list)
    """The updates that opened an ended episode again, which are no `new` ones in its cooldown."""
    seen: set[int] = field(default_factory=set)
    """Media times up to which the detector said that it had looked."""

    @property
    def truth(self) -> Truth:
        """What is in view; nothing where nobody wrote it down."""
        known = self.played.truth
        fps = self.played.fps
        return known or Truth(fps=fps, frames=max(1, self.played.expected), episodes=[])

    @property
    def looks(self) -> list[Look]:
        """Crops with a verdict, in order."""
        return [
            Look(cropped.crop, self.verdicts[key], cropped.picture)
            for key, cropped in self.crops.items()
            if key in self.verdicts
        ]

    @property
    def seconds(self) -> float:
        """How much of the clip was played, in its own time."""
        return len(self.frames) / self.played.fps

    def clip_s(self, frame_id: str) -> float | None:
        """Return the time in the clip of a frame; None if it was never announced."""
        captured_ns = int(frame_id.rpartition("-")[2])
        return next(
            (f.media_ns / SECOND for f in self.frames if f.captured_ns == captured_ns), None
        )


@dataclass(slots=True)
class Run:
    """Everything that was recorded."""

    started: Started
    clips: dict[str, Clip] = field(default_factory=dict)
    labelled: dict[str, Labelled] = field(default_factory=dict)
    labelled_verdicts: dict[str, Verdict] = field(default_factory=dict)
    finished: Finished | None = None

    @property
    def complete(self) -> bool:
        """Whether everything was played that was to be."""
        return self.finished is not None and self.finished.complete


def assemble(lines: Iterable[Line]) -> Run:
    """Put a record together.

    Raises:
        ConfigError: It does not begin as a record does.
    """
    run: Run | None = None
    for line in lines:
        if isinstance(line, Started):
            run = Run(line)
        elif run is None:
            raise ConfigError("the record does not say what was started: play again")
        else:
            _take(run, line)
    if run is None:
        raise ConfigError("the record is empty: play again")
    return run


def _take(run: Run, line: Line) -> None:
    match line:
        case Played():
            run.clips[line.camera] = Clip(line)
        case Labelled():
            run.labelled[line.id] = line
        case Finished():
            run.finished = line
        case Judged() if line.verdict.id in run.labelled:
            run.labelled_verdicts[line.verdict.id] = line.verdict
        case _:
            _heard(run, line)


def _heard(run: Run, line: Line) -> None:
    match line:
        case Announced():
            run.clips[line.frame.camera].frames.append(line.frame)
        case Cropped() if line.crop.camera in run.clips:
            clip = run.clips[line.crop.camera]
            clip.crops[line.crop.id] = line
            clip.said.append(line.crop)
        case Marked() if line.marker.camera in run.clips:
            clip = run.clips[line.marker.camera]
            clip.said.append(line.marker)
            if isinstance(line.marker, Seen):
                clip.seen.add(line.marker.media_ns)
        case Judged() if line.verdict.camera in run.clips:
            run.clips[line.verdict.camera].verdicts[line.verdict.id] = line.verdict
        case Alerted() if line.alert.camera in run.clips:
            clip, arrived = run.clips[line.alert.camera], Arrived(line.alert, line.received_ns)
            if line.alert.event == "new":
                clip.arrived.append(arrived)
            elif line.alert.reason == "reopened":
                clip.reopened.append(arrived)
        case _:
            pass
