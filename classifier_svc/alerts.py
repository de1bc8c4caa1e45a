"""From what was decided to the messages that say it. Told the time; sends nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from ulid import ULID

from classifier_svc.episodes import Changed
from classifier_svc.judge import Effect, Rejected
from classifier_svc.looks import Look
from classifier_svc.verdict import Judgement
from secondlook import topics
from secondlook.messages import (
    Alert,
    Box,
    Counters,
    Decision,
    Detected,
    Event,
    FrameFacts,
    FrameRef,
    Latency,
    Verdict,
    moment_of,
)

TEST_SIZE = (640, 360)
"""Width and height of the picture of a test alert."""


def facts_of(frame: FrameRef) -> FrameFacts:
    """Return what people want to know of a frame."""
    return FrameFacts(
        id=frame.id, width=frame.width, height=frame.height, captured_at=frame.captured_at
    )


def milliseconds(since_ns: int, until_ns: int) -> float:
    """Return the time between two moments; 0 where clocks disagree about their order."""
    return max(0.0, round((until_ns - since_ns) / 1e6, 3))


def verdict_of(look: Look, judgement: Judgement, episode: str | None) -> Verdict:
    """Return the message about one judged crop."""
    if look.classifier is None:
        raise ValueError(f"{look.id} has not been judged")
    return Verdict(
        camera=look.frame.camera,
        track=look.track,
        id=look.id,
        outcome=judgement.outcome,
        label=judgement.label,
        score=judgement.score,
        reason=judgement.reason,
        episode=episode,
        box=look.box,
        frame=facts_of(look.frame),
        detector=look.detector,
        classifier=look.classifier,
        latency_ms=look.latency,
        late=look.late,
    )


def alert_of(change: Changed, *, camera: str, root: str, now_ns: int) -> Alert:
    """Return the alert about a change of an episode.

    Args:
        change: What changed.
        camera: Whose.
        root: The first level of every topic.
        now_ns: Unix time.
    """
    episode, shown = change.episode, change.episode.shown
    latency = shown.latency
    if change.picture:
        # The look shown may be older than the one that decided.
        decided = milliseconds(shown.frame.captured_ns, now_ns)
        latency = latency.model_copy(update={"decided": max(latency.decided, decided)})
    return Alert(
        id=episode.id,
        event=change.event,
        sequence=episode.sequence,
        camera=camera,
        label=episode.label,
        score=shown.score,
        status=episode.status,
        box=shown.box,
        frame=facts_of(shown.frame),
        detector=shown.detector,
        classifier=shown.classifier,
        decision=episode.decision,
        started_at=moment_of(episode.started_ns),
        updated_at=moment_of(now_ns),
        ended_at=None if episode.ended_ns is None else moment_of(episode.ended_ns),
        duration_s=_seconds(episode.started_ns, episode.ended_ns),
        reason=change.reason,
        supersedes=episode.supersedes,
        late=episode.late,
        snapshot_topic=topics.SNAPSHOTS.path(root, camera=camera),
        snapshot_id=episode.snapshot_id,
        latency_ms=latency,
    )


def _seconds(started_ns: int, ended_ns: int | None) -> float | None:
    return None if ended_ns is None else milliseconds(started_ns, ended_ns) / 1000


def event_of(effect: Effect, *, camera: str, now_ns: int) -> Event | None:
    """Return the line for the log book, where an effect deserves one."""
    at = moment_of(now_ns)
    if isinstance(effect, Rejected):
        look = effect.look
        return Event(
            event_type="rejected",
            camera=camera,
            at=at,
            label=look.label,
            score=look.score,
            id=look.track,
        )
    if not isinstance(effect, Changed) or effect.event != "new":
        return None
    episode = effect.episode
    return Event(
        event_type="alert" if episode.status == "confirmed" else "unverified",
        camera=camera,
        at=at,
        label=episode.label,
        score=episode.shown.score,
        id=episode.id,
    )


def test_alerts(
    camera: str, label: str, *, root: str, now_ns: int, entropy: bytes
) -> tuple[Alert, Alert]:
    """Return the `new` and the `end` of an alert that is marked as a test.

    Args:
        camera: Whose.
        label: The label to show.
        root: The first level of every topic.
        now_ns: Unix time.
        entropy: 10 random bytes for the id.
    """
    width, height = TEST_SIZE
    ulid = ULID.from_bytes((now_ns // 1_000_000).to_bytes(6, "big") + entropy)
    alert_id = f"{camera}-{str(ulid).lower()}"
    at = moment_of(now_ns)
    new = Alert(
        id=alert_id,
        event="new",
        sequence=0,
        camera=camera,
        label=label,
        score=1.0,
        status="confirmed",
        box=Box(x1=width // 4, y1=height // 4, x2=3 * width // 4, y2=3 * height // 4),
        frame=FrameFacts(id=f"{camera}-{now_ns}", width=width, height=height, captured_at=at),
        detector=Detected(model="test", version="1", label="test", score=1.0),
        classifier=None,
        decision=Decision(rule="a test, asked for", confirmed=0, rejected=0, uncertain=0),
        started_at=at,
        updated_at=at,
        test=True,
        snapshot_topic=topics.SNAPSHOTS.path(root, camera=camera),
        snapshot_id=f"{alert_id}.0",
        latency_ms=Latency(detected=0, received=0, classified=0, decided=0),
    )
    changed = {"event": "end", "sequence": 1, "ended_at": at, "duration_s": 0.0, "reason": "gone"}
    return new, new.model_copy(update=changed)


test_alerts.__test__ = False  # type: ignore[attr-defined]  # pytest collects what is called test_…


@dataclass(slots=True)
class Tally:
    """Counts a camera's day, which begins at midnight in its zone."""

    counters: Counters
    zone: tzinfo

    @classmethod
    def begin(cls, camera: str, now_ns: int, zone: tzinfo) -> "Tally":
        """Begin with an empty day."""
        return cls(Counters(camera=camera, date=day_of(now_ns, zone)), zone)

    def roll(self, now_ns: int) -> bool:
        """Begin a new day if the date has changed; return whether it has."""
        today = day_of(now_ns, self.zone)
        if today == self.counters.date:
            return False
        self.counters = Counters(camera=self.counters.camera, date=today)
        return True

    def add(self, effects: Sequence[Effect], now_ns: int, looks: int = 0) -> bool:
        """Count what happened; return whether it is worth telling at once."""
        # Before it counts: what is decided right after midnight is of the new day.
        rolled = self.roll(now_ns)
        new = [e.episode.status for e in effects if isinstance(e, Changed) and e.event == "new"]
        grown = {
            "alerts": new.count("confirmed"),
            "unverified": new.count("unverified"),
            "rejections": sum(isinstance(e, Rejected) and e.first for e in effects),
        }
        before = self.counters
        update = {name: getattr(before, name) + more for name, more in grown.items()}
        self.counters = before.model_copy(update=update | {"looks": before.looks + looks})
        return rolled or any(grown.values())


def day_of(now_ns: int, zone: tzinfo) -> str:
    """Return the local date: `2026-11-22`."""
    return datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(zone).date().isoformat()
