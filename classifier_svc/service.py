"""The classifier at work: crops in, verdicts and alerts out."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from classifier_svc import outbox_rows, records
from classifier_svc.desk import Desk
from classifier_svc.discovery import Discovery
from classifier_svc.feedback import FeedbackBox
from classifier_svc.inbox import Inbox, Received
from classifier_svc.keeper import Keeper
from classifier_svc.metrics import Metrics
from classifier_svc.outbox import Outbox
from classifier_svc.requests import Requests
from classifier_svc.second_look import SecondLook
from classifier_svc.snapshots import Snapshots
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Connection, Database
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.review_folder import ReviewFolder
from secondlook.adapters.subscriptions import Delivery
from secondlook.adapters.triton import Triton
from secondlook.backoff import Backoff
from secondlook.beating import beat_and_watch
from secondlook.config import Config
from secondlook.errors import DatabaseError
from secondlook.messages import Crop, CropMessage
from secondlook.service import VERSION, Context, publish_stats, watch_disk

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
MB = 1_000_000
DAY_S = 86_400
RECEIVE_AT_ONCE = 200
CROPS_UNREAD = 2000
"""Messages that may lie unstored in memory; the detector sends again what does not fit."""
OUTBOX_COUNTS = ("published", "given_up", "set_aside", "replayed", "republished")
WAITING_PART = 0.75
"""The part of `retention.max_mb` that crops may take which wait for a verdict."""
TICK_S = 1.0
HEARTBEAT_EVERY = 5
PURGE_EVERY = 30
"""In ticks."""
FREE_PAGES = 2000
"""Pages given back to the disk at one time."""


class Service:
    """The classifier, built from its parts; `run` it.

    Args:
        config: The whole configuration.
        context: Health and metrics.
        bus: Not open yet: everything is subscribed to before `online` is said.
        triton: Open.
        database: Open.
        frames: Where the pictures are.
        review: Where crops are kept, if the configuration says so.
        metrics: The service's own.
    """

    def __init__(
        self,
        config: Config,
        context: Context,
        *,
        bus: Bus,
        triton: Triton,
        database: Database,
        frames: FrameReader,
        review: ReviewFolder,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._context = context
        self._bus = bus
        self._database = database
        self._metrics = metrics
        self._crops = bus.subscribe(topics.CROPS, limit=CROPS_UNREAD, manual_ack=True)
        self._camera_statuses = bus.subscribe(topics.CAMERA_STATUS)
        self._service_statuses = bus.subscribe(topics.STATUS)
        self._inbox = Inbox(database, config.classifier.hold_s)
        self._waiting_bytes = config.retention.max_mb * MB * WAITING_PART
        self._outbox = Outbox(database, bus, time.time_ns, config.alerts.replay_s)
        self._snapshots = Snapshots(frames, config.snapshots, ZoneInfo(config.timezone))
        self._keeper = Keeper(config.review, review)
        self._desk = Desk(
            config,
            database=database,
            inbox=self._inbox,
            outbox=self._outbox,
            snapshots=self._snapshots,
            metrics=metrics,
            health=context.health,
            now_ns=time.time_ns,
            entropy=lambda: secrets.token_bytes(10),
        )
        self._second_look = SecondLook(
            config,
            context.health,
            bus=bus,
            triton=triton,
            inbox=self._inbox,
            desk=self._desk,
            keeper=self._keeper,
            metrics=metrics,
        )
        self._discovery = Discovery(config, VERSION, bus=bus, database=database)
        self._requests = Requests(
            config,
            bus=bus,
            database=database,
            desk=self._desk,
            outbox=self._outbox,
            metrics=metrics,
        )
        self._feedback = FeedbackBox(
            config.cameras, bus=bus, database=database, keeper=self._keeper, metrics=metrics
        )

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ModelMismatch: The model cannot be used; also later, if another one takes its place.
            ConfigError: The model does not know the labels that shall alert.
            DatabaseError: What an earlier process left cannot be read.
        """
        self._watch()
        self._context.health.expect("broker", "triton", "database")
        await asyncio.to_thread(self._snapshots.warm_up)
        waiting = await self._inbox.load()
        await self._desk.restore()
        await self._feedback.restore()
        self._context.health.set("database", ok=True)
        if waiting:
            log.info("%d crops and ends of tracks wait from before", waiting)
        self._bus.on_connect(self._greet)
        try:
            async with self._bus, asyncio.TaskGroup() as group:
                group.create_task(self._receive(), name="crops")
                group.create_task(self._hear_cameras(), name="camera statuses")
                group.create_task(self._hear_services(), name="service statuses")
                group.create_task(self._requests.hear_replay(), name="replay")
                group.create_task(self._feedback.hear(), name="feedback")
                group.create_task(self._requests.hear_commands(), name="commands")
                group.create_task(self._outbox.run(), name="outbox")
                group.create_task(self._discovery.run(), name="discovery")
                group.create_task(self._discovery.hear_births(), name="births")
                group.create_task(self._second_look.run(), name="second look")
                group.create_task(self._tick(), name="tick")
                group.create_task(self._keeper.run(), name="review")
                group.create_task(publish_stats(self._bus, self._context), name="stats")
                group.create_task(beat_and_watch(self._bus, "classifier"), name="beats")
        finally:
            # The last sign of life: what is not seen from now on is told by the next process.
            with contextlib.suppress(DatabaseError):
                now_ns = time.time_ns()
                await self._database.write(lambda db: records.beat(db, now_ns))

    async def _greet(self) -> None:
        self._desk.connection_was_cut()
        await self._outbox.connected()
        self._discovery.connected()

    async def _receive(self) -> None:
        while True:
            deliveries = await self._crops.batch(RECEIVE_AT_ONCE)
            await self._take_in([each for each in deliveries if self._is_ours(each)])
            for delivery in deliveries:
                delivery.ack()
            over = self._inbox.waiting.excess(
                self._config.classifier.max_waiting, self._waiting_bytes, self._desk.is_urgent
            )
            await self._desk.shed(over, "full", model_up=self._second_look.model_up)

    def _is_ours(self, delivery: Delivery[CropMessage]) -> bool:
        camera = delivery.message.camera
        if camera in self._config.cameras:
            return True
        # Not by its name: rubbish must not grow the metrics without bound.
        self._metrics.shed.labels("", "unknown_camera").inc()
        return False

    async def _take_in(self, deliveries: Sequence[Delivery[CropMessage]]) -> None:
        """Store messages, and try for as long as it takes: they are not acknowledged before."""
        received = [Received(each.message, each.received_ns) for each in deliveries]
        for each in received:
            if isinstance(each.message, Crop):
                self._metrics.received.labels(each.message.camera).inc()
                age_ns = max(0, each.received_ns - each.message.frame.captured_ns)
                self._metrics.hop.labels("received").observe(age_ns / SECOND)
        backoff = Backoff()
        while True:
            try:
                await self._inbox.put(received, time.time_ns())
            except DatabaseError as error:
                self._metrics.retries.inc()
                self._context.health.set("database", ok=False, why=str(error))
                await asyncio.sleep(backoff.next_s())
            else:
                self._context.health.set("database", ok=True)
                return

    async def _hear_cameras(self) -> None:
        async for delivery in self._camera_statuses:
            await self._desk.camera_status(
                delivery.levels["camera"],
                online=delivery.message == "online",
                at_ns=delivery.received_ns,
            )

    async def _hear_services(self) -> None:
        async for delivery in self._service_statuses:
            await self._desk.service_status(
                delivery.levels["service"],
                online=delivery.message == "online",
                at_ns=delivery.received_ns,
            )

    async def _tick(self) -> None:
        ticks = 0
        while True:
            connected = self._bus.connected
            self._context.health.set("broker", connected, "" if connected else "not connected")
            await asyncio.sleep(TICK_S)
            ticks += 1
            model_up = self._second_look.model_up
            await self._desk.tick(model_up=model_up, heartbeat=ticks % HEARTBEAT_EVERY == 0)
            if ticks % PURGE_EVERY == 0:
                await self._purge()
            with contextlib.suppress(DatabaseError):
                await self._feedback.count()

    async def _purge(self) -> None:
        replayed_ns = self._outbox.before_ns(round(self._config.alerts.replay_s * SECOND))
        kept_ns = self._outbox.before_ns(round(self._config.retention.days * DAY_S * SECOND))
        most_bytes = self._config.retention.max_mb * MB

        def work(db: Connection) -> None:
            outbox_rows.purge(
                db, kept_since_ns=kept_ns, replayed_since_ns=replayed_ns, most_bytes=most_bytes
            )
            records.purge(db, kept_ns)

        try:
            await self._inbox.purge()
            await self._database.write(work)
            self._feedback.forgotten()
            await self._database.read(lambda db: records.give_back(db, FREE_PAGES))
        except DatabaseError as error:
            log.warning("old rows could not be deleted: %s", error)

    def _watch(self) -> None:
        """Show what the parts count."""
        metrics, outbox, inbox = self._metrics, self._outbox, self._inbox
        metrics.begin(self._config.cameras, self._config.alerts.labels)
        folders = {"database": self._config.classifier.database.parent}
        if self._config.review.enabled:
            folders["review"] = self._config.review.folder
        watch_disk(self._context, **folders)
        metrics.gauge("crops_waiting", "Crops that wait for a verdict", lambda: len(inbox.waiting))
        metrics.gauge("model_up", "Whether the model answers", lambda: self._second_look.model_up)
        metrics.gauge("outbox_waiting", "Messages not acknowledged yet", lambda: outbox.depth)
        metrics.gauge("outbox_refused", "Alerts the broker refuses", lambda: outbox.refused)
        metrics.gauge("outbox_age_seconds", "Age of the oldest of them", self._outbox_age_s)
        metrics.gauge("database_bytes", "Its file and its log", lambda: self._database.size_bytes)
        metrics.gauge("database_commits", "Commits so far", lambda: self._database.stats.commits)
        metrics.gauge("database_failures", "Failed so far", lambda: self._database.stats.failures)
        metrics.watch("messages", inbox.counts, "again", "too_old")
        metrics.watch("outbox", outbox.counts, *OUTBOX_COUNTS)
        counted = ("kept", "again", "dropped", "failed", "removed", "corrected")
        metrics.watch("review", self._keeper.counts, *counted)
        metrics.watch("snapshots", self._snapshots.counts, "frame", "crop", "none")

    def _outbox_age_s(self) -> float:
        oldest_ns = self._outbox.oldest_ns
        if not self._outbox.depth or oldest_ns is None:
            return 0.0
        return max(0, time.time_ns() - oldest_ns) / SECOND
