"""What is written down while clips are played: one JSON line per happening. Opens no file.

`secondlook evaluate` writes it, `training.evaluate` makes the report of it, as often as wanted.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from secondlook.config import Alerts
from secondlook.errors import ConfigError
from secondlook.local.truth import Truth
from secondlook.messages import (
    Alert,
    Crop,
    FrameRef,
    Score,
    Seen,
    Slug,
    TrackEnded,
    Verdict,
    summarise,
)
from secondlook.model_spec import ModelParameters

Mode = Literal["fast", "realtime", "photographs", "images"]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    def line(self) -> bytes:
        """Return it as a line."""
        return self.model_dump_json().encode() + b"\n"


class Started(_Line):
    """The stack is up."""

    kind: Literal["started"] = "started"
    schema_: Literal["secondlook/run/1"] = Field("secondlook/run/1", alias="schema")
    version: str
    at: str
    """RFC 3339."""
    machine: str
    mode: Mode
    parallel: int
    alerts: Alerts
    """The rule in force."""
    relook_s: float
    min_score: Score
    """The detector's threshold while playing."""
    operating_point: Score
    """The threshold that the detector would have without `--min-score`."""
    detector: str
    classifier: str
    """Names and versions of the models."""
    parameters: ModelParameters
    """The classifier's."""


class Played(_Line):
    """A clip, or a share of the photographs, is about to be played as a camera."""

    kind: Literal["played"] = "played"
    camera: Slug
    path: str
    fps: float
    """Frames per second that are looked at."""
    expected: int
    """How many frames that should make."""
    truth: Truth | None = None
    """None: nothing that may alert is in it."""
    files: list[str] = []
    """Photographs, in the order of their frames."""


class Announced(_Line):
    """A frame was announced."""

    kind: Literal["frame"] = "frame"
    frame: FrameRef


class Cropped(_Line):
    """The detector sent a crop."""

    kind: Literal["crop"] = "crop"
    crop: Crop
    """Without its pixels."""
    picture: str
    """The file with its pixels, beside the record."""


class Marked(_Line):
    """A track ended, or the detector said how far it has looked."""

    kind: Literal["marker"] = "marker"
    marker: Annotated[TrackEnded | Seen, Field(discriminator="schema_")]


class Judged(_Line):
    """A verdict came."""

    kind: Literal["verdict"] = "verdict"
    verdict: Verdict


class Alerted(_Line):
    """An alert arrived in the hands of a subscriber."""

    kind: Literal["alert"] = "alert"
    alert: Alert
    received_ns: int


class Labelled(_Line):
    """A labelled picture was sent to the classifier as a crop."""

    kind: Literal["labelled"] = "labelled"
    id: str
    """The crop's."""
    label: str
    """The name of its folder."""
    picture: str


class Finished(_Line):
    """Nothing more is played."""

    kind: Literal["finished"] = "finished"
    complete: bool
    """False: ended by Ctrl-C before its end."""
    seconds: float
    """How long playing took."""
    lost: dict[str, int] = {}
    """Frames and messages that were lost on the way, by service and cause."""


Line = Started | Played | Announced | Cropped | Marked | Judged | Alerted | Labelled | Finished
_LINE: TypeAdapter[Any] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def without_pixels(crop: Crop) -> Crop:
    """Return a crop as it stands in the record."""
    return crop.model_copy(update={"jpeg": b""})


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Read a record; a last line that was cut off is left out.

    Raises:
        ConfigError: It is none.
    """
    mistake = ""
    for number, line in enumerate(lines, 1):
        if mistake:
            raise ConfigError(mistake)
        try:
            yield _LINE.validate_json(line)
        except ValidationError as error:
            mistake = f"line {number} is no line of a recorded run: {summarise(error)}"
            if number == 1:
                raise ConfigError(mistake) from None
