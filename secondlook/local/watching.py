"""What a subscriber of everything knows about one camera's run: the demo's memory.

Pure: it is told each message and the time at which it came.
"""

from dataclasses import dataclass, field

from secondlook.local.truth import Raised
from secondlook.messages import Alert, Crop, CropMessage, FrameRef, Verdict

SECOND = 1_000_000_000
REMEMBERED_FRAMES = 10_000


@dataclass
class Run:
    """What was seen of one opening of a source."""

    frames: int = 0
    crops: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    outcomes: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    """How many messages of each kind (new, update, end)."""
    raised: list[Raised] = field(default_factory=list)
    _media_ns: dict[str, int] = field(default_factory=dict)
    _first: FrameRef | None = None
    _newest: FrameRef | None = None
    _alerts_seen: set[tuple[str, int]] = field(default_factory=set)

    @property
    def at_s(self) -> float:
        """Time in the clip of the newest frame, in seconds."""
        return 0.0 if self._newest is None else self._newest.media_ns / SECOND

    @property
    def waiting(self) -> int:
        """Crops without a verdict yet."""
        return len(self.crops - self.judged)

    def saw_frame(self, frame: FrameRef) -> None:
        """Take note of a frame."""
        self.frames += 1
        self._first = self._first or frame
        self._newest = frame
        self._media_ns[frame.id] = frame.media_ns
        if len(self._media_ns) > REMEMBERED_FRAMES:
            del self._media_ns[next(iter(self._media_ns))]

    def saw_crop(self, crop: CropMessage) -> None:
        """Take note of a crop; one that is sent again counts once."""
        if isinstance(crop, Crop):
            self.crops.add(crop.id)
            # It carries its frame, whose own message may have been lost.
            self._first = self._first or crop.frame
            self._media_ns.setdefault(crop.frame.id, crop.frame.media_ns)

    def saw_verdict(self, verdict: Verdict) -> bool:
        """Take note of a verdict; return False for one that was seen before."""
        if verdict.id in self.judged:
            return False
        self.judged.add(verdict.id)
        self.outcomes[verdict.outcome] = self.outcomes.get(verdict.outcome, 0) + 1
        return True

    def saw_alert(self, alert: Alert, received_ns: int) -> bool:
        """Take note of an alert; return False for one that was seen before."""
        if (alert.id, alert.sequence) in self._alerts_seen:
            return False
        self._alerts_seen.add((alert.id, alert.sequence))
        self.alerts[alert.event] = self.alerts.get(alert.event, 0) + 1
        if alert.event == "new":
            at_s = self.clip_s(alert.frame.id)
            self.raised.append(Raised(alert.id, alert.label, at_s, self.wall_s(received_ns)))
        return True

    def clip_s(self, frame_id: str) -> float:
        """Return the time in the clip of a frame, in seconds."""
        known = self._media_ns.get(frame_id)
        if known is not None:
            return known / SECOND
        return self.wall_s(int(frame_id.rpartition("-")[2]))

    def wall_s(self, unix_ns: int) -> float:
        """Return the time in the clip at a moment; the clip is played in real time."""
        if self._first is None:
            return 0.0
        return (unix_ns - self._first.captured_ns + self._first.media_ns) / SECOND
