"""Makes a decision count: everything it changes is stored as one, and then said.

Looks, the memory of tracks and episodes, and the outbox change in a single transaction. So a
process that is killed anywhere finds either all of a decision or nothing of it.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from classifier_svc import outbox_rows
from classifier_svc.announce import messages_of
from classifier_svc.blind import Blindness
from classifier_svc.episodes import Changed
from classifier_svc.inbox import mark_done, picture_row
from classifier_svc.judge import Effect
from classifier_svc.metrics import Metrics
from classifier_svc.outbox import Outbox
from classifier_svc.outbox_rows import Outgoing
from classifier_svc.pictures import Pictures
from classifier_svc.place import Place
from classifier_svc.records import Change, beat, keep_pictures, save_memory
from classifier_svc.snapshots import Snapshots
from classifier_svc.waiting import Entry
from secondlook.adapters.database import Connection, Database
from secondlook.backoff import Backoff
from secondlook.errors import DatabaseError, Unreadable
from secondlook.messages import Alert, Blind, Crop
from secondlook.service import Health

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Step:
    """What one decision leads to."""

    effects: dict[str, list[Effect]] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)
    done: list[Entry] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)
    pictures: dict[str, Pictures] = field(default_factory=dict)
    """By `snapshot_id`, in order."""
    changes: list[Change] = field(default_factory=list)
    """Of the memory, beyond what the cameras' own parts tell."""
    beat: bool = False

    def add(self, camera: str, effects: Sequence[Effect]) -> None:
        """Add what happened at a camera."""
        if effects:
            self.effects.setdefault(camera, []).extend(effects)


class Ledger:
    """Takes one decision after another.

    Args:
        places: The cameras.
        blindness: Stored along.
        database: Open.
        outbox: Told when something is to be sent.
        snapshots: Draws them.
        metrics: Where alerts are counted.
        health: Told when the database cannot be written.
        now_ns: Unix time.
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        blindness: Blindness,
        *,
        database: Database,
        outbox: Outbox,
        snapshots: Snapshots,
        metrics: Metrics,
        health: Health,
        now_ns: Callable[[], int],
    ) -> None:
        self._places = places
        self._blindness = blindness
        self._database = database
        self._outbox = outbox
        self._snapshots = snapshots
        self._metrics = metrics
        self._health = health
        self._now_ns = now_ns
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def deciding(self) -> AsyncIterator[Step]:
        """Collect what one decision leads to; at the end of the block it takes effect."""
        async with self._lock:
            step = Step()
            yield step
            await self._conclude(step)

    async def _conclude(self, step: Step) -> None:
        alerts: list[Alert] = []
        for camera in {*step.effects, *step.looks}:
            place, effects = self._places[camera], step.effects.get(camera, [])
            pictures = await self._pictures(effects)
            step.pictures.update(pictures)
            now_ns = self._now_ns()
            worth_telling = place.tally.add(effects, now_ns, step.looks[camera])
            told, messages = messages_of(effects, place.announcer, pictures, now_ns)
            alerts += told
            step.messages += messages
            if worth_telling:
                step.messages.append(place.announcer.counters(place.tally))
        for now in self._blindness.take_news():
            step.messages.append(self._places[now.camera].announcer.blind_now(now))
        # How far was seen alone is not worth a commit: another message follows in a second.
        if step.messages or step.beat or any(entry.seq for entry in step.done):
            await self._commit(step)
        for alert in alerts:
            self.count(alert)

    async def _pictures(self, effects: Sequence[Effect]) -> dict[str, Pictures]:
        pictures: dict[str, Pictures] = {}
        for effect in effects:
            if isinstance(effect, Changed) and effect.picture:
                shown, snapshots = effect.episode.shown, self._snapshots
                frame = snapshots.frame(shown)
                jpeg = await self._jpeg_of(shown.id) if snapshots.needs_crop(frame) else None
                drawn = await asyncio.to_thread(snapshots.draw, effect, frame, jpeg)
                pictures[effect.episode.snapshot_id] = drawn
        return pictures

    async def _jpeg_of(self, crop: str) -> bytes | None:
        try:
            row = await self._database.read(lambda db: picture_row(db, crop))
            return Crop.decode(row).jpeg if row is not None else None
        except (DatabaseError, Unreadable):
            return None

    def _changes(self) -> list[Change]:
        changes: list[Change] = []
        for camera, place in self._places.items():
            rows = place.take_changes() + self._blindness.take_changes(camera)
            changes += [(camera, *row) for row in rows]
        return changes

    async def _commit(self, step: Step) -> None:
        """Store a decision; try for as long as it takes, for it cannot be taken back."""
        changes, now_ns = self._changes() + step.changes, self._now_ns()

        def work(db: Connection) -> None:
            mark_done(db, step.done, now_ns)
            save_memory(db, changes)
            outbox_rows.put(db, step.messages, now_ns)
            if self._snapshots.keep:
                keep_pictures(db, step.pictures)
            if step.beat:
                beat(db, now_ns)

        backoff = Backoff()
        while True:
            try:
                await self._database.write(work)
            except DatabaseError as error:
                self._metrics.retries.inc()
                self._health.set("database", ok=False, why=str(error))
                await asyncio.sleep(backoff.next_s())
            else:
                self._health.set("database", ok=True)
                break
        if step.messages:
            self._outbox.wake()

    def tell_blind(self, step: Step, told: Sequence[Blind]) -> None:
        """Let a decision say blind times."""
        for blind in told:
            self._metrics.blind.labels(blind.camera).inc((blind.to - blind.from_).total_seconds())
            step.messages.append(self._places[blind.camera].announcer.blind(blind))

    def count(self, alert: Alert) -> None:
        """Count an alert and put it into the log."""
        self._metrics.alerts.labels(alert.event, alert.label).inc()
        why = alert.reason or ("test" if alert.test else f"score {alert.score:.2f}")
        log.info("alert %s: %s %s, %s", alert.event, alert.label, alert.id, why)
        if alert.event == "new" and not alert.test:
            self._metrics.hop.labels("alert").observe(alert.latency_ms.decided / 1000)
