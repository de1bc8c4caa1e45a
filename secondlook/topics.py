"""Every topic, once: who writes it, who reads it, and how it is delivered. No transport.

Delivery, in three sentences. *Frames*: newest wins, loss is normal. *Crops*: durable on
receipt, judged by priority (open episodes and new tracks first), decided by time, idempotent
by id. *Alerts*: never dropped.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from secondlook import messages
from secondlook.errors import Unreadable
from secondlook.messages import summarise

M = TypeVar("M")
Writer = Literal["producers", "detector", "classifier", "consumers", "services"]
Reader = Literal["producers", "detector", "classifier", "consumers", "operators", "services"]
OnlineOffline = Literal["online", "offline"]
OnOff = Literal["ON", "OFF"]
Alive = Literal["alive"]

LEVEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What may stand for a placeholder: never a `/`, a wildcard or a dot."""


@dataclass(frozen=True)
class Topic(Generic[M]):
    """One kind of topic and the message that travels on it."""

    pattern: str
    """Below the root; `{placeholders}` are one level each."""
    message: Any
    """A type that pydantic can read, or `bytes` for what is not JSON."""
    rule: str
    """What a reader needs to know, in a sentence."""
    writers: tuple[Writer, ...]
    readers: tuple[Reader, ...]
    qos: Literal[0, 1] = 1
    retain: bool = False
    expiry_s: int | None = None
    """MQTT 5 message expiry; a convenience that nothing depends on."""
    max_bytes: int = 65_536
    """A larger payload is unreadable."""
    kind: Literal["json", "text", "jpeg"] = "json"
    prefix: str | None = None
    """Stands in the place of the root: for topics that others have laid down."""

    @cached_property
    def _adapter(self) -> TypeAdapter[M]:
        return TypeAdapter(self.message)

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.pattern)
        return re.compile(
            "".join(
                f"(?P<{part}>{LEVEL.pattern})" if odd else re.escape(part)
                for part, odd in zip(parts, (i % 2 for i in range(len(parts))), strict=True)
            )
        )

    def path(self, root: str, **levels: str) -> str:
        """Return the whole topic, every placeholder filled in.

        Raises:
            ValueError: A level is no safe name.
        """
        for name, level in levels.items():
            if not LEVEL.fullmatch(level):
                raise ValueError(f"{name} {level!r} cannot stand in a topic")
        return f"{self.prefix or root}/{self.pattern.format(**levels)}"

    def filter(self, root: str, **levels: str) -> str:
        """Return the subscription for this topic; levels that are not given are `+`."""
        names = re.findall(r"\{(\w+)\}", self.pattern)
        levels = dict.fromkeys(names, "+") | levels
        return f"{self.prefix or root}/{self.pattern.format(**levels)}"

    def levels(self, root: str, path: str) -> Mapping[str, str] | None:
        """Return the placeholders' values in a topic; None if it is another topic."""
        first = self.prefix or root
        if not path.startswith(f"{first}/"):
            return None
        match = self._regex.fullmatch(path[len(first) + 1 :])
        return match.groupdict() if match else None

    def encode(self, message: M) -> bytes:
        """Return the payload of a message."""
        if isinstance(message, bytes):
            return message
        if isinstance(message, BaseModel):
            return message.model_dump_json().encode()
        if self.kind == "text":
            return str(message).encode()
        return json.dumps(message, allow_nan=False).encode()

    def decode(self, payload: bytes, levels: Mapping[str, str]) -> M:
        """Read a payload that came on a topic with these `levels`.

        Raises:
            Unreadable: It is too large, does not keep its schema, or speaks of another
                camera than its topic.
        """
        if len(payload) > self.max_bytes:
            raise Unreadable(f"{len(payload)} bytes, at most {self.max_bytes} are read")
        try:
            if self.kind == "text":
                message = self._adapter.validate_python(payload.decode())
            elif self.kind == "jpeg":
                message = self._adapter.validate_python(payload)
            else:
                message = self._adapter.validate_json(payload)
        except ValidationError as error:
            raise Unreadable(summarise(error)) from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"not readable: {type(error).__name__}") from error
        camera = levels.get("camera")
        if camera is not None and getattr(message, "camera", camera) != camera:
            raise Unreadable("the camera of the message is not the camera of the topic")
        return message


FRAMES: Topic[messages.FrameRef] = Topic(
    "frames/{camera}",
    messages.FrameRef,
    "A frame lies in the frame store. The newest wins; a lost one is normal.",
    writers=("producers",),
    readers=("detector",),
    qos=0,
    expiry_s=5,
    max_bytes=4096,
)
CROPS: Topic[messages.CropMessage] = Topic(
    "crops/{camera}",
    messages.CropMessage,
    "A cut-out to judge, the end of a track, or how far the detector has looked; "
    "sent again after a reconnect under the same id.",
    writers=("detector",),
    readers=("classifier",),
    max_bytes=3_000_000,
)
VERDICTS: Topic[messages.Verdict] = Topic(
    "verdicts/{camera}",
    messages.Verdict,
    "Every look, with scores and reason.",
    writers=("classifier",),
    readers=("consumers",),
    qos=0,
)
ALERTS: Topic[messages.Alert] = Topic(
    "alerts/{camera}/{label}",
    messages.Alert,
    "The alerts. Sent until acknowledged: de-duplicate by (id, sequence). "
    "The label is `unverified` for what the policy let pass without a verdict.",
    writers=("classifier",),
    readers=("consumers",),
)
LAST: Topic[messages.Alert] = Topic(
    "last/{camera}/{label}",
    messages.Alert,
    "The newest alert of that label, after its snapshot: for attributes, never to trigger on.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
NEWEST: Topic[messages.Alert] = Topic(
    "newest/{camera}",
    messages.Alert,
    "The alert that began the camera's newest episode, whatever its label; never to trigger on "
    "without comparing ids.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
STATE: Topic[OnOff] = Topic(
    "state/{camera}/{label}",
    OnOff,
    "`ON` while a confirmed episode is open.",
    writers=("classifier",),
    readers=("consumers", "detector"),
    retain=True,
    kind="text",
)
SNAPSHOTS: Topic[bytes] = Topic(
    "snapshots/{camera}",
    bytes,
    "JPEG of the last alert, its `snapshot_id` in the comment; published before the alert. "
    "Empty once it was deleted, as are `last/…` and `newest/…`.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
    max_bytes=3_000_000,
    kind="jpeg",
)
PICTURES: Topic[bytes] = Topic(
    "pictures/{camera}/{kind}",
    bytes,
    "If the configuration asks for them, the last alert's `crop` (the cut-out) and `clean` (the "
    "frame) without drawing, as JPEG like its snapshot and before it. Empty: there is none.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
    max_bytes=3_000_000,
    kind="jpeg",
)
EVENTS: Topic[messages.Event] = Topic(
    "events/{camera}",
    messages.Event,
    "One per episode; `rejected` when a track ends without an episode and at most once a "
    "minute while it lives; `model_down` and `model_up` to every camera.",
    writers=("classifier",),
    readers=("consumers",),
)
COUNTERS: Topic[messages.Counters] = Topic(
    "counters/{camera}",
    messages.Counters,
    "Today's alerts and rejections, from local midnight.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
STATUS: Topic[OnlineOffline] = Topic(
    "status/{service}",
    OnlineOffline,
    "`online` or `offline` of producers, detector, classifier and triton; the broker says "
    "`offline` when a service dies, the others when it freezes. `status/triton` is kept by the "
    "detector.",
    writers=("services",),
    readers=("services", "consumers"),
    retain=True,
    kind="text",
)
BEATS: Topic[Alive] = Topic(
    "beats/{service}",
    Alive,
    "A sign of life, once a second: a service that stops is said to be `offline` by the others.",
    writers=("services",),
    readers=("detector", "classifier"),
    qos=0,
    expiry_s=5,
    kind="text",
    max_bytes=64,
)
CAMERA_STATUS: Topic[OnlineOffline] = Topic(
    "cameras/{camera}/status",
    OnlineOffline,
    "`online` while frames come. A camera is watched only if this and every service is online.",
    writers=("producers",),
    readers=("detector", "classifier", "consumers"),
    retain=True,
    kind="text",
)
BLIND: Topic[messages.Blind] = Topic(
    "blind/{camera}",
    messages.Blind,
    "A time in which something could not be seen, and why; sent until acknowledged.",
    writers=("classifier",),
    readers=("consumers",),
)
BLIND_NOW: Topic[messages.BlindNow] = Topic(
    "blind_now/{camera}",
    messages.BlindNow,
    "Whether the camera can be seen now, and why not; means nothing while `status/classifier` is "
    "`offline`.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
STATS: Topic[messages.Stats] = Topic(
    "stats/{service}",
    messages.Stats,
    "Counters of a service, every ten seconds.",
    writers=("services",),
    readers=("consumers",),
    qos=0,
    max_bytes=500_000,
)
REPLAY: Topic[messages.Replay] = Topic(
    "replay",
    messages.Replay,
    "Ask for the alerts put into the outbox since then; without an `end` within 10 s ask again.",
    writers=("consumers",),
    readers=("classifier",),
    max_bytes=4096,
)
REPLAYED: Topic[messages.Alert | messages.Blind | messages.ReplayEnd] = Topic(
    "replayed/{client}",
    messages.Alert | messages.Blind | messages.ReplayEnd,
    'The alerts asked for, in order, then `{"end": true}`; among them the blind times, where '
    '`"blind": true` asks for them.',
    writers=("classifier",),
    readers=("consumers",),
)
SET: Topic[JsonValue] = Topic(
    "set/{camera}/{key}",
    JsonValue,
    "A command for `armed`, `confirm_score`, `cooldown_s`, `test_alert` or `forget`; "
    "`config/…` answers. Never retain it: retained commands are refused.",
    writers=("consumers",),
    readers=("classifier",),
    max_bytes=4096,
)
CONFIG: Topic[JsonValue] = Topic(
    "config/{camera}/{key}",
    JsonValue,
    "The value in force of `armed`, `confirm_score` and `cooldown_s`: at the start, after every "
    "reconnect and every command, also a refused one.",
    writers=("classifier",),
    readers=("consumers",),
    retain=True,
)
FEEDBACK: Topic[messages.Feedback] = Topic(
    "feedback",
    messages.Feedback,
    "What an alert really was.",
    writers=("consumers",),
    readers=("classifier",),
    max_bytes=4096,
)
DEAD_LETTERS: Topic[messages.DeadLetter] = Topic(
    "dead-letters/{service}",
    messages.DeadLetter,
    "What a service could not read: topic, reason, first bytes.",
    writers=("services",),
    readers=("operators",),
)

ALL: tuple[Topic[Any], ...] = (
    FRAMES,
    CROPS,
    VERDICTS,
    ALERTS,
    LAST,
    NEWEST,
    STATE,
    SNAPSHOTS,
    PICTURES,
    EVENTS,
    COUNTERS,
    STATUS,
    BEATS,
    CAMERA_STATUS,
    BLIND,
    BLIND_NOW,
    STATS,
    REPLAY,
    REPLAYED,
    SET,
    CONFIG,
    FEEDBACK,
    DEAD_LETTERS,
)


def which(root: str, path: str) -> tuple[Topic[Any], Mapping[str, str]] | None:
    """Return the kind of a topic and its levels; None if it is none of ours."""
    for topic in ALL:
        levels = topic.levels(root, path)
        if levels is not None:
            return topic, levels
    return None
