"""What the services and their users say to each other. No topics, no transport, no clock.

Every message is frozen, checks itself when it is made, and travels as UTF-8 JSON. Readers
ignore fields they do not know, so a field may be added; none is renamed or removed within
one version of a schema.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from secondlook.errors import Unreadable

Slug = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
"""A name that is safe as a topic level, a file name and a metric label."""
FrameId = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}-[0-9]{1,20}$")]
"""`<camera>-<captured_ns>`."""
RunId = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]{1,40}$")]
TrackId = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}-[0-9a-z-]{1,64}$")]
"""`<camera>-…`, never given twice."""
AlertId = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}-[0-9a-z]{26}$")]
"""`<camera>-<ULID of started_at>`, in lower case."""
Text = Annotated[str, Field(max_length=1000)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Field(ge=0.0)]
Nanoseconds = Annotated[int, Field(ge=0, lt=2**63)]
Pixels = Annotated[int, Field(ge=0, le=65_535)]
Scores = Annotated[dict[Text, Score], Field(max_length=1000)]


def rfc3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds: `2026-11-22T06:13:20.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_base64(value: object) -> object:
    """Take standard base64 for bytes."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {error}") from error


def within_calendar(moment: datetime) -> datetime:
    """Refuse a moment that has no date in UTC: year 1 in the east, year 9999 in the west."""
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies beyond the calendar") from error
    return moment


Time = Annotated[
    AwareDatetime,
    AfterValidator(within_calendar),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
Base64 = Annotated[
    bytes,
    BeforeValidator(from_base64),
    PlainSerializer(lambda raw: base64.b64encode(raw).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


class Part(BaseModel):
    """A part of a message: frozen, without NaN and infinities, open to unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


class Message(Part):
    """What can stand alone on a topic."""

    def encode(self) -> bytes:
        """Return the message as UTF-8 JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, payload: bytes | str) -> Self:
        """Read a message.

        Raises:
            Unreadable: The payload is not JSON or does not keep the schema; the text names
                the field and never repeats its value.
        """
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Unreadable(summarise(error)) from error


def summarise(error: ValidationError) -> str:
    """Return the first mistakes of a validation in one line, without the values."""
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    # A key of a message is a part of `loc`, its `schema` of `msg`: anyone's, and of any length.
    said = [
        f"{'.'.join(str(part)[:40] for part in m['loc']) or 'message'}: {m['msg'][:200]}"
        for m in mistakes[:3]
    ]
    return "; ".join([*said, f"and {len(mistakes) - 3} more"] if len(mistakes) > 3 else said)  # noqa: PLR2004 - three are enough to find it


class Box(Part):
    """A rectangle in pixels of the frame as captured: x1 <= x < x2, y1 <= y < y2."""

    x1: Pixels
    y1: Pixels
    x2: Pixels
    y2: Pixels

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise ValueError("a box needs x1 < x2 and y1 < y2")
        return self

    @property
    def width(self) -> int:
        """Pixels from x1 to x2."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from y1 to y2."""
        return self.y2 - self.y1

    def overlap(self, other: Self) -> float:
        """Return the intersection over union with another box, 0..1."""
        across = min(self.x2, other.x2) - max(self.x1, other.x1)
        down = min(self.y2, other.y2) - max(self.y1, other.y1)
        if across <= 0 or down <= 0:
            return 0.0
        both = across * down
        return both / (self.width * self.height + other.width * other.height - both)


class FrameRef(Message):
    """A producer captured a frame; its pixels lie in the frame store under `id`."""

    schema_: Literal["secondlook/frame/1"] = Field("secondlook/frame/1", alias="schema")
    id: FrameId
    camera: Slug
    run: RunId
    """One opening of the source: `media_ns` compares only within a run."""
    sequence: int = Field(ge=0)
    """Counts the frames of the run from 0, so that a reader sees what it missed."""
    captured_ns: Nanoseconds
    """Unix time at which the frame left the camera's decoder."""
    media_ns: Nanoseconds
    """Time within the run: monotonic, or the clip's own time carried on over loops."""
    width: Pixels = Field(gt=0)
    height: Pixels = Field(gt=0)
    channels: Literal["bgr"] = "bgr"
    """8 bits each, interleaved, rows from the top, no padding."""

    @model_validator(mode="after")
    def _id_agrees(self) -> Self:
        if self.id != f"{self.camera}-{self.captured_ns}":
            raise ValueError("id must be <camera>-<captured_ns>")
        return self

    @property
    def size_bytes(self) -> int:
        """Bytes of the pixels."""
        return self.width * self.height * 3

    @property
    def captured_at(self) -> datetime:
        """`captured_ns` as a moment in UTC."""
        return moment_of(self.captured_ns)


def moment_of(unix_ns: int) -> datetime:
    """Return Unix nanoseconds as a moment in UTC.

    Raises:
        ValueError: The moment is beyond what a datetime holds.
    """
    try:
        return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).replace(
            microsecond=unix_ns % 1_000_000_000 // 1000
        )
    except (OverflowError, OSError) as error:
        raise ValueError(f"{unix_ns} ns lies beyond the calendar") from error


class Detected(Part):
    """What the first network said."""

    model: Text
    version: Text
    label: Text
    score: Score


class Classified(Part):
    """What the second network said: a score for each of its labels."""

    model: Text
    version: Text
    scores: Scores


class _FromTrack(Message):
    """A message of one camera about one of its tracks."""

    camera: Slug
    track: TrackId

    @model_validator(mode="after")
    def _camera_agrees(self) -> Self:
        if not self.track.startswith(f"{self.camera}-"):
            raise ValueError("track must begin with its camera")
        return self


class Crop(_FromTrack):
    """A cut-out of a track, sent for a look. Evidence, so it carries its pixels."""

    schema_: Literal["secondlook/crop/1"] = Field("secondlook/crop/1", alias="schema")
    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}-[0-9a-z-]{1,64}\.[0-9]{1,9}$")]
    """`<track>.<number of the look>`: sent again under the same id."""
    frame: FrameRef
    box: Box
    """The detection."""
    region: Box
    """The cut-out: the box with its margin, clipped to the frame."""
    detector: Detected
    cause: Literal["new", "relook", "changed"]
    track_started_ns: Nanoseconds
    """Unix time of the track's first frame."""
    track_started_media_ns: Nanoseconds
    detected_ms: Milliseconds
    """From capture until the detector had decided to send this."""
    jpeg: Base64 = Field(max_length=2_000_000)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.frame.camera != self.camera:
            raise ValueError("frame.camera must be the crop's camera")
        if not self.id.startswith(f"{self.track}."):
            raise ValueError("id must begin with its track")
        return self


class TrackEnded(_FromTrack):
    """A track is gone from view, or its camera is."""

    schema_: Literal["secondlook/track_ended/1"] = Field("secondlook/track_ended/1", alias="schema")
    run: RunId
    media_ns: Nanoseconds
    """The last sighting."""
    captured_ns: Nanoseconds
    looks: int = Field(ge=0)
    """How many crops were sent."""


class Seen(Message):
    """The detector has looked at every frame it will look at, up to `media_ns`."""

    schema_: Literal["secondlook/seen/1"] = Field("secondlook/seen/1", alias="schema")
    camera: Slug
    run: RunId
    media_ns: Nanoseconds
    captured_ns: Nanoseconds
    unbroken_since_ns: Nanoseconds | None = None
    """Unix time since which it has looked without a pause, in this run; null: not known."""


CropMessage = Annotated[Crop | TrackEnded | Seen, Field(discriminator="schema_")]


class FrameFacts(Part):
    """The frame behind a verdict or an alert, for people."""

    id: FrameId
    width: Pixels
    height: Pixels
    captured_at: Time


class Latency(Part):
    """Milliseconds since capture at which each step was done."""

    detected: Milliseconds
    received: Milliseconds
    classified: Milliseconds | None = None
    decided: Milliseconds


Outcome = Literal["confirmed", "rejected", "uncertain"]


class Verdict(_FromTrack):
    """One crop judged."""

    schema_: Literal["secondlook/verdict/1"] = Field("secondlook/verdict/1", alias="schema")
    id: Text
    """The crop's id."""
    outcome: Outcome
    label: Text
    """The best label."""
    score: Score
    """Its score."""
    reason: Text
    """The rule that decided, in words."""
    episode: AlertId | None = None
    """The alert id of the episode that the track belongs to by now."""
    box: Box
    frame: FrameFacts
    detector: Detected
    classifier: Classified
    latency_ms: Latency
    late: bool = False


class Decision(Part):
    """Why an episode is open."""

    rule: Text
    confirmed: int = Field(ge=0)
    rejected: int = Field(ge=0)
    uncertain: int = Field(ge=0)


EndReason = Literal["gone", "escalated", "confirmed", "rejected", "disarmed"]
Reason = EndReason | Literal["reopened"]


def known_reason(value: object) -> object:
    """Take a word that a newer version says for `gone`, as every reader should."""
    known = ("reopened", *get_args(EndReason))
    return "gone" if isinstance(value, str) and value not in known else value


class Alert(Message):
    """A message about an episode. De-duplicate by (id, sequence)."""

    schema_: Literal["secondlook/alert/1"] = Field("secondlook/alert/1", alias="schema")
    id: AlertId
    event: Literal["new", "update", "end"]
    sequence: int = Field(ge=0)
    """Counts the messages of the episode from 0."""
    camera: Slug
    label: Slug
    score: Score
    status: Literal["confirmed", "unverified"]
    box: Box
    frame: FrameFacts
    detector: Detected
    classifier: Classified | None
    """null while `status` is `unverified`."""
    decision: Decision
    started_at: Time
    """Capture of the episode's first look."""
    updated_at: Time
    ended_at: Time | None = None
    duration_s: Annotated[float, Field(ge=0)] | None = None
    """Of an `end`: seconds from `started_at` to `ended_at`."""
    reason: Annotated[Reason | None, BeforeValidator(known_reason)] = None
    """Why it ended, or that it was opened again within its cooldown. Words may be added."""
    supersedes: AlertId | None = None
    late: bool = False
    """Decided after the models had been away."""
    test: bool = False
    snapshot_topic: Text
    snapshot_id: Text
    """Stands in the comment of the snapshot's JPEG."""
    latency_ms: Latency

    @model_validator(mode="after")
    def _camera_agrees(self) -> Self:
        if not self.id.startswith(f"{self.camera}-"):
            raise ValueError("id must begin with its camera")
        return self


class Event(Message):
    """Something worth a line in a log book."""

    schema_: Literal["secondlook/event/1"] = Field("secondlook/event/1", alias="schema")
    event_type: Literal["alert", "rejected", "unverified", "model_down", "model_up"]
    camera: Slug
    at: Time
    label: Text | None = None
    score: Score | None = None
    id: Text | None = None
    """The alert's id, or the track's for `rejected`."""


class Counters(Message):
    """What a camera saw today, from midnight in the configured time zone."""

    schema_: Literal["secondlook/counters/1"] = Field("secondlook/counters/1", alias="schema")
    camera: Slug
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    alerts: int = Field(0, ge=0)
    rejections: int = Field(0, ge=0)
    unverified: int = Field(0, ge=0)
    looks: int = Field(0, ge=0)


class Blind(Message):
    """A time in which something could not be seen."""

    schema_: Literal["secondlook/blind/1"] = Field("secondlook/blind/1", alias="schema")
    camera: Slug
    from_: Time = Field(alias="from")
    to: Time
    why: Text


class BlindNow(Message):
    """Whether a camera can be seen at this moment, as far as the classifier knows."""

    schema_: Literal["secondlook/blind_now/1"] = Field("secondlook/blind_now/1", alias="schema")
    camera: Slug
    blind: bool
    since: Time | None = None
    """When the first of the reasons began."""
    why: tuple[Text, ...] = ()
    """Every reason there is."""


class Stats(Message):
    """Counters of a service, every ten seconds."""

    schema_: Literal["secondlook/stats/1"] = Field("secondlook/stats/1", alias="schema")
    service: Slug
    version: Text
    at: Time
    counters: Annotated[dict[Text, float], Field(max_length=10_000)]


class Replay(Message):
    """Please send again what was put into the outbox since then."""

    since: Time
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """A name of your choice; the answer comes on `replayed/<client>`."""
    blind: bool = False
    """Send the blind times too that were put in since then."""

    @property
    def since_ns(self) -> int:
        """`since` as Unix nanoseconds, as far as an integer of 64 bits reaches."""
        return min(max(0, round(self.since.timestamp() * 1000) * 1_000_000), 2**63 - 1)


class ReplayEnd(Message):
    """Everything asked for has been sent."""

    end: Literal[True]
    """Needed: whatever else cannot be read must not be taken for the end."""


class TestAlertCommand(Message):
    """Send a marked alert through the whole way to the subscribers."""

    __test__: ClassVar[bool] = False  # pytest collects what is called Test…

    label: Slug | None = None
    """Default: the first alert label."""


class ForgetCommand(Message):
    """Delete a camera's alerts and their pictures: one, those begun before a moment, or all."""

    id: AlertId | None = None
    before: Time | None = None
    request: Annotated[str, Field(pattern=r"^[0-9a-z]{0,40}$")] = ""
    """Repeated in the answer, so that who asked knows it."""


class Forgotten(Message):
    """The answer, on `config/<camera>/forget`."""

    forgotten: int
    """Alerts."""
    at: Time
    request: str
    id: AlertId | None = None
    """As asked: this alert …"""
    before: Time | None = None
    """… or those begun before; neither: all."""


class Feedback(Message):
    """What an alert really was."""

    id: AlertId
    truth: Literal["true_alarm", "false_alarm"]
    label: Slug | None = None


class DeadLetter(Message):
    """A message that could not be read."""

    schema_: Literal["secondlook/dead_letter/1"] = Field("secondlook/dead_letter/1", alias="schema")
    topic: Text
    reason: Text
    size: int = Field(ge=0)
    first_bytes: Base64
    at: Time
