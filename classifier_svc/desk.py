"""Decides for all cameras: who is told what, when the world speaks. Stores through the ledger."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from classifier_svc.alerts import Tally, test_alerts, verdict_of
from classifier_svc.announce import Announcer
from classifier_svc.blind import Blindness
from classifier_svc.departed import farewell
from classifier_svc.episodes import UNVERIFIED
from classifier_svc.inbox import Inbox
from classifier_svc.judge import Judge
from classifier_svc.ledger import Ledger, Step
from classifier_svc.looks import Look
from classifier_svc.metrics import Metrics
from classifier_svc.outbox import Outbox
from classifier_svc.outbox_rows import stale_retained, stale_states
from classifier_svc.place import Place
from classifier_svc.records import last_heartbeat, load_memory
from classifier_svc.settings import Settings
from classifier_svc.snapshots import Snapshots
from classifier_svc.verdict import Judgement
from classifier_svc.waiting import Entry
from secondlook.adapters.database import Database
from secondlook.config import Alerts, Camera, Config
from secondlook.messages import Event, Seen, TrackEnded, Verdict, moment_of
from secondlook.service import Health

log = logging.getLogger(__name__)

RELOOKS_ALIVE = 3
"""A track whose last so many looks are missing is not in view any more."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A crop with what was said about it."""

    entry: Entry
    look: Look
    judgement: Judgement


class Desk:
    """The decisions of one installation.

    Args:
        config: The whole configuration.
        database: Open.
        inbox: Loaded.
        outbox: What is decided goes there.
        snapshots: Draws them.
        metrics: Where decisions are counted.
        health: Told when the database cannot be written.
        now_ns: Unix time.
        entropy: Returns 10 random bytes.
    """

    def __init__(
        self,
        config: Config,
        *,
        database: Database,
        inbox: Inbox,
        outbox: Outbox,
        snapshots: Snapshots,
        metrics: Metrics,
        health: Health,
        now_ns: Callable[[], int],
        entropy: Callable[[], bytes],
    ) -> None:
        self._config = config
        self._database = database
        self._waiting = inbox.waiting
        self._metrics = metrics
        self._snapshots = snapshots
        self._now_ns = now_ns
        self._entropy = entropy
        self._zone = ZoneInfo(config.timezone)
        self._blindness = Blindness(config.cameras)
        self._unheard: set[str] = set()
        self._places = {name: self._place(name, each) for name, each in config.cameras.items()}
        self._ledger = Ledger(
            self._places,
            self._blindness,
            database=database,
            outbox=outbox,
            snapshots=snapshots,
            metrics=metrics,
            health=health,
            now_ns=now_ns,
        )

    def _place(self, name: str, camera: Camera) -> Place:
        frames_s = camera.motion.max_gap_s if camera.motion.enabled else 0.0
        judge = Judge(
            name,
            self._config.alerts,
            entropy=self._entropy,
            # The longest wait between two frames, and the seconds that the messages may need.
            gap_s=max(3.0, 3 / camera.fps, frames_s) + 2.0,
            alive_s=RELOOKS_ALIVE * self._config.detector.relook_s,
            hold_s=self._config.classifier.hold_s,
        )
        announcer = Announcer(name, self._config.mqtt.root, self._config.alerts.labels)
        tally = Tally.begin(name, self._now_ns(), self._zone)
        return Place(judge, announcer, tally, Settings(self._config.alerts))

    async def restore(self) -> None:
        """Take up where the process before this one ended, and say how things stand.

        Raises:
            DatabaseError: It cannot be read.
        """
        rows = await self._database.read(load_memory)
        for camera, kind, key, value in rows:
            try:
                self._recall(camera, kind, key, value)
            except ValueError as error:
                log.warning("%s %s of %s is forgotten: %s", kind, key, camera, error)
        last_ns = await self._database.read(last_heartbeat)
        labels, kinds = self._config.alerts.labels, self._config.snapshots.kinds
        known = {(camera, label) for camera in self._places for label in labels}
        stale = await self._database.read(
            lambda db: stale_states(db, known) + stale_retained(db, self._places, kinds)
        )
        self.connection_was_cut()
        async with self._ledger.deciding() as step:
            step.beat = True
            now_ns = self._now_ns()
            told, farewells, step.changes = farewell(
                rows,
                self._places,
                rule=self._config.alerts,
                root=self._config.mqtt.root,
                now_ns=now_ns,
            )
            step.messages += [*farewells, *stale]
            step.done += self._strangers()
            if last_ns is not None:
                away = self._blindness.classifier_was_away(last_ns, now_ns)
                self._ledger.tell_blind(step, away)
            for camera, place in self._places.items():
                place.tally.roll(now_ns)
                said, over = place.begin({*labels, UNVERIFIED})
                step.messages += said
                step.add(camera, over)
        for alert in told:
            self._ledger.count(alert)

    def _strangers(self) -> list[Entry]:
        """Take what waits of cameras that are configured no more out of the line."""
        strangers = self._waiting.strangers(self._places)
        self._waiting.remove(strangers)
        self._metrics.shed.labels("", "unknown_camera").inc(len(strangers))
        return strangers

    def _recall(self, camera: str, kind: str, key: str, value: bytes) -> None:
        place = self._places.get(camera)
        if place is None:
            return
        if kind == "blind":
            self._blindness.restore(camera, key, value)
        else:
            place.recall(kind, key, value)

    def is_urgent(self, entry: Entry) -> bool:
        """Tell whether a crop belongs to a new track or to an open episode."""
        return self._places[entry.camera].judge.is_urgent(entry.track)

    def lacks_episode(self, entry: Entry) -> bool:
        """Tell whether the track of a crop may raise an alert and has no open episode."""
        judge = self._places[entry.camera].judge
        track = judge.memory.tracks.get(entry.track)
        return judge.armed and (track is None or judge.memory.open_episode(track) is None)

    def rule_of(self, camera: str) -> Alerts:
        """Return the rule by which a camera's looks are judged now."""
        return self._places[camera].settings.rule

    def in_force(self, camera: str, key: str) -> JsonValue:
        """Return the value of a setting that is in force."""
        return self._places[camera].settings.in_force(key)

    async def set(self, camera: str, key: str, value: JsonValue) -> None:
        """Obey a command: the value, what follows from it and the answer are stored as one.

        Raises:
            Unreadable: The value cannot hold; nothing has changed.
        """
        place = self._places[camera]
        async with self._ledger.deciding() as step:
            step.add(camera, place.set(key, value, self._now_ns()))
            step.messages.append(place.setting(key))

    def connection_was_cut(self) -> None:
        """Note that the detector may have looked without being heard."""
        self._unheard.update(self._places)

    async def decide(self, judged: Sequence[Judged], *, model_up: bool) -> list[Verdict]:
        """Take judged looks, and the markers that have nothing left before them."""
        async with self._ledger.deciding() as step:
            for each in judged:
                camera = each.entry.camera
                step.add(camera, self._places[camera].judge.look(each.look))
                step.looks[camera] += 1
            self._take_out(step, [each.entry for each in judged], model_up=model_up)
        return [self._verdict(each) for each in judged]

    def _verdict(self, judged: Judged) -> Verdict:
        episode = self._places[judged.entry.camera].judge.episode_of(judged.entry.track)
        return verdict_of(judged.look, judged.judgement, episode)

    def label_of(self, verdict: Verdict) -> str | None:
        """Return the label of the episode that a verdict names, while it is remembered."""
        episodes = self._places[verdict.camera].judge.memory.episodes
        episode = episodes.get(verdict.episode or "")
        return episode.label if episode else None

    async def shed(self, entries: Sequence[Entry], cause: str, *, model_up: bool) -> None:
        """Drop crops without a verdict, and count them."""
        if not entries:
            return
        log.warning("%d crops were dropped without a verdict: %s", len(entries), cause)
        for entry in entries:
            self._metrics.shed.labels(entry.camera, cause).inc()
            if cause != "unreadable":
                self._blindness.unjudged(entry.camera, entry.captured_ns, self._now_ns())
        async with self._ledger.deciding() as step:
            self._take_out(step, entries, model_up=model_up)

    def _take_out(self, step: Step, entries: Sequence[Entry], *, model_up: bool) -> None:
        self._waiting.remove(entries)
        markers = self._waiting.ready_markers()
        self._waiting.remove(markers)
        step.done += [*entries, *markers]
        for entry in markers:
            judge = self._places[entry.camera].judge
            if isinstance(entry.marker, TrackEnded):
                step.add(entry.camera, judge.track_ended(entry.marker))
            elif isinstance(entry.marker, Seen):
                heard = entry.camera not in self._unheard
                step.add(entry.camera, judge.seen(entry.marker, heard=heard))
                self._unheard.discard(entry.camera)
        self._settle(step, model_up=model_up)

    def _settle(self, step: Step, *, model_up: bool) -> None:
        tracks = self._waiting.tracks()
        for camera, place in self._places.items():
            step.add(camera, place.judge.settle(tracks, model_up=model_up))

    async def model_silent(self, looks: Sequence[Look], silent_s: float) -> None:
        """Let alerts pass unverified for crops that wait."""
        async with self._ledger.deciding() as step:
            for camera, place in self._places.items():
                waiting = [look for look in looks if look.frame.camera == camera]
                step.add(camera, place.judge.model_silent(waiting, silent_s))

    async def model_changed(self, *, up: bool) -> None:
        """Tell every camera that the model went away or came back."""
        at = moment_of(self._now_ns())
        async with self._ledger.deciding() as step:
            for camera, place in self._places.items():
                event = Event(event_type="model_up" if up else "model_down", camera=camera, at=at)
                step.messages.append(place.announcer.plain(event))

    async def camera_status(self, camera: str, *, online: bool, at_ns: int) -> None:
        """Take the status of a camera."""
        async with self._ledger.deciding() as step:
            told = self._blindness.camera(camera, online=online, at_ns=at_ns)
            self._ledger.tell_blind(step, told)

    async def service_status(self, service: str, *, online: bool, at_ns: int) -> None:
        """Take the status of a service."""
        if service == "detector" and online:
            self.connection_was_cut()
        async with self._ledger.deciding() as step:
            told = self._blindness.service(service, online=online, at_ns=at_ns)
            self._ledger.tell_blind(step, told)

    async def test_alert(self, camera: str, label: str) -> None:
        """Send a marked alert the whole way to the subscribers."""
        root, now_ns = self._config.mqtt.root, self._now_ns()
        alerts = test_alerts(camera, label, root=root, now_ns=now_ns, entropy=self._entropy())
        picture = self._snapshots.note(f"a test: {label}", camera, now_ns, alerts[0].snapshot_id)
        async with self._ledger.deciding() as step:
            step.messages += self._places[camera].announcer.test(alerts, picture)
        for alert in alerts:
            self._ledger.count(alert)

    async def tick(self, *, model_up: bool, heartbeat: bool) -> None:
        """Let time pass: midnight, unverified episodes that are over, the heartbeat."""
        now_ns = self._now_ns()
        async with self._ledger.deciding() as step:
            step.beat = heartbeat
            self._settle(step, model_up=model_up)
            self._ledger.tell_blind(step, self._blindness.settle(now_ns))
            for place in self._places.values():
                if place.tally.roll(now_ns):
                    step.messages.append(place.announcer.counters(place.tally))
