"""What consumers ask for: the alerts again, other settings, a test, to forget."""

import asyncio
import logging
import time

from pydantic import JsonValue, ValidationError

from classifier_svc import settings
from classifier_svc.desk import Desk
from classifier_svc.forgetting import forget, ids_of
from classifier_svc.metrics import Metrics
from classifier_svc.outbox import Outbox
from classifier_svc.outbox_rows import outgoing, put
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Connection, Database
from secondlook.adapters.subscriptions import Delivery
from secondlook.config import Config
from secondlook.errors import DatabaseError, NotConnected, Unreadable
from secondlook.messages import (
    ForgetCommand,
    Forgotten,
    Replay,
    TestAlertCommand,
    moment_of,
    summarise,
)

log = logging.getLogger(__name__)

REPLAYS_AT_ONCE = 4
REPLAYS_WAITING = 100
REPLAY_LIMIT_S = 60.0
TEST_EVERY_S = 0.5
"""Test alerts come no faster: each is stored, and told to everyone."""
KEYS = (*settings.KEYS, "test_alert", "forget")


class Requests:
    """Answers consumers.

    Args:
        config: The whole configuration.
        bus: Not open yet.
        database: Open.
        desk: Sends test alerts.
        outbox: Replays.
        metrics: Where requests are counted.
    """

    def __init__(
        self,
        config: Config,
        *,
        bus: Bus,
        database: Database,
        desk: Desk,
        outbox: Outbox,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._bus = bus
        self._replay_requests = bus.subscribe(topics.REPLAY, limit=REPLAYS_WAITING)
        self._commands = bus.subscribe(topics.SET)
        self._database = database
        self._desk = desk
        self._outbox = outbox
        self._metrics = metrics
        self._replays = asyncio.Semaphore(REPLAYS_AT_ONCE)
        self._tested_s = -TEST_EVERY_S

    async def hear_replay(self) -> None:
        """Answer `replay` for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                # Consumers ask all at once when the classifier comes back: none is turned away,
                # and one that asks the same again before its turn is answered once.
                waiting = await self._replay_requests.batch(REPLAYS_WAITING)
                for request in dict.fromkeys(each.message for each in waiting):
                    await self._replays.acquire()
                    group.create_task(self._replay(request))

    async def _replay(self, request: Replay) -> None:
        try:
            async with asyncio.timeout(REPLAY_LIMIT_S):
                await self._outbox.replay(request)
        except (NotConnected, DatabaseError, TimeoutError) as error:
            log.warning("the replay for %s was cut short: %s", request.client, error)
            self._metrics.replays.labels("cut").inc()
        else:
            self._metrics.replays.labels("answered").inc()
        finally:
            self._replays.release()

    async def hear_commands(self) -> None:
        """Obey `set/<camera>/<key>` for ever."""
        async for delivery in self._commands:
            key = delivery.levels["key"]
            try:
                outcome = await self._obey(delivery)
            except Unreadable as error:
                outcome = "refused"
                log.warning("set/%s/%s is refused: %s", delivery.levels["camera"], key, error)
                self._repeat(delivery.levels["camera"], key)
            self._metrics.commands.labels(key if key in KEYS else "unknown", outcome).inc()

    async def _obey(self, delivery: Delivery[JsonValue]) -> str:
        """Carry out a command; return how that went.

        Raises:
            Unreadable: It is refused; the text says why.
        """
        camera, key = delivery.levels["camera"], delivery.levels["key"]
        if delivery.retained:
            raise Unreadable("it was retained, and a command must not be obeyed again later")
        if key == "forget":
            # Also of a camera that is configured no more.
            await self._forget(camera, delivery.message)
            return "done"
        if camera not in self._config.cameras:
            raise Unreadable("no such camera")
        if key not in KEYS:
            raise Unreadable(f"no such key; there are {', '.join(KEYS)}")
        if key in settings.KEYS:
            await self._desk.set(camera, key, delivery.message)
            log.info("set/%s/%s: %s holds", camera, key, self._desk.in_force(camera, key))
            return "done"
        await self._test(camera, delivery.message)
        return "done"

    def _repeat(self, camera: str, key: str) -> None:
        """Say what holds to whoever believes that a refused command did."""
        if camera in self._config.cameras and key in settings.KEYS:
            value = self._desk.in_force(camera, key)
            self._bus.send(topics.CONFIG, value, camera=camera, key=key)

    async def _test(self, camera: str, message: JsonValue) -> None:
        try:
            command = TestAlertCommand.model_validate(message if isinstance(message, dict) else {})
        except ValidationError as error:
            raise Unreadable(summarise(error)) from error
        labels = self._config.alerts.labels
        if command.label is not None and command.label not in labels:
            raise Unreadable(f"{command.label} is not among alerts.labels: {', '.join(labels)}")
        if time.monotonic() < self._tested_s + TEST_EVERY_S:
            raise Unreadable("test alerts come too fast")
        self._tested_s = time.monotonic()
        await self._desk.test_alert(camera, command.label or labels[0])

    async def _forget(self, camera: str, message: JsonValue) -> None:
        try:
            command = ForgetCommand.model_validate(message)
        except ValidationError as error:
            raise Unreadable(summarise(error)) from error
        first, end = ids_of(camera, command)
        now_ns = time.time_ns()

        def work(db: Connection) -> int:
            count, clearing = forget(db, camera, first, end)
            said = Forgotten(
                forgotten=count,
                at=moment_of(now_ns),
                request=command.request,
                id=command.id,
                before=command.before,
            )
            answer = outgoing(
                topics.CONFIG, said.model_dump(mode="json"), camera=camera, key="forget"
            )
            put(db, [*clearing, answer], now_ns)
            return count

        try:
            count = await self._database.write(work)
        except DatabaseError as error:
            raise Unreadable(f"the database cannot be written: {error}") from error
        try:
            await self._database.read(_rewrite)
        except DatabaseError as error:
            log.warning("what was deleted may still lie in unused parts of the file: %s", error)
        log.warning(
            "camera %s: %d alerts and their pictures were deleted on request", camera, count
        )
        self._outbox.wake()


def _rewrite(db: Connection) -> None:
    # Where SQLite has moved rows between pages, copies stay that no deletion overwrites. It needs
    # room for the file a second time, and seconds for a large one: crops and alerts wait for that.
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
