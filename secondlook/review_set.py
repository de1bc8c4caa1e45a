"""The review set's layout: names, labels and the note beside each crop. Opens no file.

`<folder>/<label>/<recording>__<crop id>.jpg`, with `.json` for `.jpg` beside it: what the training
of a classifier reads. Labels that begin with `_` are none, and no training reads them.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field

from secondlook.messages import (
    AlertId,
    Classified,
    Crop,
    Detected,
    Message,
    Outcome,
    Score,
    Slug,
    Text,
    Time,
    TrackId,
    Verdict,
    moment_of,
)

UNSORTED = "_unsorted"
"""Crops whose label nobody knows."""
ALERTS = "_alerts"
"""Crops behind alerts, until somebody says whether these were right."""
NO_LABELS = (UNSORTED, ALERTS)
MAX_LABEL = 32
_LABEL = re.compile(r"[a-z0-9_]{1,32}")
_STEM = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,190})")


class Note(Message):
    """What is known of a kept crop. Its label is the folder that it lies in."""

    schema_: Literal["secondlook/reviewed/1"] = Field("secondlook/reviewed/1", alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}-[0-9a-z-]{1,64}\.[0-9]{1,9}$")]
    """The crop's id."""
    camera: Slug
    track: TrackId
    captured_at: Time
    labelled_by: Literal["model", "feedback", "review"]
    """Who says that the label is right; the last two are people."""
    hint: Text | None = None
    """What is known of an unsorted crop."""
    outcome: Outcome
    label: Slug
    """The best label at that time, as it stands in topics."""
    score: Score
    reason: Text
    detector: Detected
    classifier: Classified
    alert: AlertId | None = None
    """The episode that its track belonged to."""
    alert_label: Slug | None = None
    difference_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]

    @classmethod
    def of(
        cls, crop: Crop, verdict: Verdict, label: Slug, alert_label: Slug | None, hash_: int
    ) -> Self:
        """Make the note of a crop that has just been judged."""
        return cls(
            id=crop.id,
            camera=crop.camera,
            track=crop.track,
            captured_at=moment_of(crop.frame.captured_ns),
            labelled_by="model",
            outcome=verdict.outcome,
            label=label,
            score=verdict.score,
            reason=verdict.reason,
            detector=crop.detector,
            classifier=verdict.classifier,
            alert=verdict.episode,
            alert_label=alert_label,
            difference_hash=f"{hash_:016x}",
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A crop in the review set."""

    label: str
    """Its folder."""
    stem: str
    """Its file's name without `.jpg`."""
    size: int
    """Bytes of picture and note."""
    kept_ns: int
    """Unix time at which its picture was written."""
    note: Note | None
    """None: somebody put a picture there, and no note."""
    id: str = field(init=False)
    """The crop's id, or the file's name where there is no note."""
    by_human: bool = field(init=False)
    """Whether a human has said what it is."""
    hash: int | None = field(init=False)
    """Its difference hash."""

    def __post_init__(self) -> None:
        # Worked out once: a new crop is compared with thousands of these.
        note = self.note
        object.__setattr__(self, "id", note.id if note else self.stem)
        object.__setattr__(self, "by_human", note is None or note.labelled_by != "model")
        object.__setattr__(self, "hash", int(note.difference_hash, 16) if note else None)


def is_label(name: str) -> bool:
    """Tell whether a name may be a folder of the set: a slug."""
    return _LABEL.fullmatch(name) is not None


def is_stem(name: str) -> bool:
    """Tell whether a file's name without its ending is one that we touch."""
    return _STEM.fullmatch(name) is not None


def stem_of(crop: Crop) -> str:
    """Return the name of a crop's files: its recording, `__`, its id.

    A recording is what a camera saw in one hour (UTC, of the track's first frame): neighbours
    look alike, and stand on one side when a training splits its data.
    """
    began = moment_of(crop.track_started_ns)
    # The first `__` ends the recording, so a camera's name must not hold one.
    camera = re.sub("_+", "_", crop.camera)
    return f"{camera}-{began:%Y%m%dt%H}__{crop.id}"
