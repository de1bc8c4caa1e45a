"""The broker, in our own types: publish, subscribe, and come back by oneself.

Each connection is thrown away when it ends: what was sent but not acknowledged on it fails
there and then, and an acknowledgement knows the connection it belongs to (packet ids are used
again after a reconnect). Sending again is the business of whoever keeps the message.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from secondlook import topics
from secondlook.adapters import tls
from secondlook.adapters.connection import (
    MQTT_3,
    MQTT_5,
    UNSUPPORTED_PROTOCOL,
    Connection,
    Incoming,
    Outgoing,
    Version,
)
from secondlook.adapters.subscriptions import Delivery, Subscription
from secondlook.backoff import Backoff
from secondlook.config import Mqtt
from secondlook.errors import ConfigError, NotConnected, Unreadable
from secondlook.messages import DeadLetter, moment_of
from secondlook.topics import Topic

M = TypeVar("M")
log = logging.getLogger(__name__)

SERVICES = ("producers", "detector", "classifier")
DEAD_LETTERS_PER_S = 20
"""A flood of rubbish must not become a flood of dead letters."""
ASK_AGAIN = "more messages came than fit"
"""Why a connection is given up that works: see `Bus._ask_again`."""
ASK_AGAIN_S = 1.0
"""Between two looks whether there is room."""


@dataclass(slots=True)
class BusStats:
    """What went wrong so far; only ever counts up."""

    connects: int = 0
    disconnects: int = 0
    unreadable: int = 0
    stale_acks: int = 0
    """Acknowledgements that came after their connection had gone."""
    dropped_in: int = 0
    dropped_out: int = 0
    """Messages that were not sent because the broker was away or too slow."""


class Bus:
    """A connection to the broker that comes back by itself.

    Use it as an async context manager: it connects in the background and never raises
    because the broker is away; a ConfigError if the files for TLS cannot be used.

    Args:
        mqtt: Where the broker is.
        service: The name of the service; `producers`, `detector` and `classifier` announce
            themselves on `status/<service>`, with a last will.
        persistent: Let the broker keep this client's messages while it is away.
    """

    def __init__(self, mqtt: Mqtt, *, service: str, persistent: bool = False) -> None:
        self.root = mqtt.root
        self.stats = BusStats()
        self._mqtt = mqtt
        self._service = service
        self._persistent = persistent
        self._protocol: Version | None = None
        self._subscriptions: list[Subscription[Any]] = []
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._complaint = ""
        self._asking_again: Connection | None = None
        self._dead_letters = (0, 0)  # second, sent in it

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and has not gone since."""
        return self._connection is not None and self._connection.alive

    async def __aenter__(self) -> Self:
        if self._mqtt.tls is not None:
            tls.context(self._mqtt.tls)
        elif self._mqtt.password is not None and not tls.is_loopback(self._mqtt.host):
            log.warning("the password for the broker travels unencrypted; set mqtt.tls")
        self._keeper = asyncio.create_task(self._keep_connected(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.connected and self._service in SERVICES:
            with contextlib.suppress(NotConnected, TimeoutError):
                async with asyncio.timeout(1):
                    await self.publish(topics.STATUS, "offline", service=self._service)
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def on_connect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this after every connect, once `online` is said and subscriptions stand."""
        self._callbacks.append(callback)

    def subscribe(
        self, topic: Topic[M], *, limit: int = 1000, manual_ack: bool = False, **levels: str
    ) -> Subscription[M]:
        """Hear a topic, now and after every reconnect.

        Args:
            topic: What to hear; levels that are not given are any.
            limit: Messages that may wait to be read.
            manual_ack: The broker keeps a message until its `ack` is called.
            levels: Fixed levels, for instance `camera="yard"`.

        Raises:
            ValueError: The topic is already heard with other levels. Brokers send a message
                once for each overlapping subscription, so it would be heard twice.
        """
        if any(s.topic is topic and s.levels != levels for s in self._subscriptions):
            raise ValueError(f"{topic.pattern} is already subscribed with other levels")
        subscription = Subscription(topic, levels, limit=limit, manual_ack=manual_ack)
        self._subscriptions.append(subscription)
        if self._connection is not None and self._connection.alive:
            self._ask_for(self._connection, [subscription])
        return subscription

    def send(self, topic: Topic[M], message: M, **levels: str) -> bool:
        """Hand a message over without waiting; return whether it could be.

        What cannot be sent now is dropped and counted.
        """
        try:
            self._hand_over(topic, message, levels, waiter=None)
        except NotConnected:
            self.stats.dropped_out += 1
            return False
        return True

    async def publish(self, topic: Topic[M], message: M, **levels: str) -> None:
        """Send a message and wait until the broker has taken it.

        Raises:
            NotConnected: The broker is away, went away before it acknowledged, refused the
                message or has too much to do; nobody knows whether it took it.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hand_over(topic, message, levels, waiter)
        await waiter

    def _hand_over(
        self,
        topic: Topic[M],
        message: M,
        levels: dict[str, str],
        waiter: asyncio.Future[None] | None,
    ) -> None:
        if self._connection is None:
            raise NotConnected(f"the broker at {self._where} is away")
        path, payload = topic.path(self.root, **levels), topic.encode(message)
        outgoing = Outgoing(path, payload, topic.qos, topic.retain, topic.expiry_s)
        self._connection.send(outgoing, waiter)

    @property
    def _where(self) -> str:
        return f"{self._mqtt.host}:{self._mqtt.port}"

    async def _keep_connected(self) -> None:
        backoff = Backoff()
        while True:
            try:
                if self._protocol is None:
                    self._protocol = await self._agreed_protocol()
                async with self._opened(self._protocol) as connection:
                    backoff.reset()
                    await self._live(connection)
            except (NotConnected, ConfigError, OSError, TimeoutError, ValueError) as error:
                self._complain(tls.explain(error, self._mqtt))
            await asyncio.sleep(backoff.next_s())

    async def _agreed_protocol(self) -> Version:
        """Find out whether the broker speaks MQTT 5, with a connection that asks for nothing.

        Brokers that do not know version 5 stumble over the properties of a real connection
        instead of refusing the version, and the trial must not touch the kept session.
        """
        try:
            async with self._opened(MQTT_5, trial=True):
                return MQTT_5
        except NotConnected as error:
            if UNSUPPORTED_PROTOCOL not in str(error):
                raise
        log.info("the broker does not speak MQTT 5; using 3.1.1")
        return MQTT_3

    @contextlib.asynccontextmanager
    async def _opened(self, protocol: Version, *, trial: bool = False) -> AsyncIterator[Connection]:
        announced = self._service in SERVICES and not trial
        will = topics.STATUS.path(self.root, service=self._service) if announced else None
        connection = Connection(
            self._mqtt,
            name=f"{self._service}-hello" if trial else self._service,
            protocol=protocol,
            persistent=self._persistent and not trial,
            will=will,
            hear=self._hear,
        )
        try:
            await connection.open(plain=trial)
            yield connection
        finally:
            self._connection = None
            await connection.close()

    async def _live(self, connection: Connection) -> None:
        self._connection = connection
        self.stats.connects += 1
        self._complaint = ""
        log.info("connected to the broker at %s", self._where)
        greeting = asyncio.create_task(self._greet(connection), name="bus greeting")
        greeting.add_done_callback(_report_fault)
        try:
            why = await connection.closed
        finally:
            greeting.cancel()
            self.stats.dropped_in += connection.dropped
        self.stats.disconnects += 1
        if why != ASK_AGAIN:
            raise NotConnected(why)

    async def _greet(self, connection: Connection) -> None:
        """Subscribe, say `online`, tell who wants to know; again on every connection.

        Brokers publish every will when they shut down in good order, so the retained
        status says `offline` after a restart until we say otherwise.
        """
        try:
            await asyncio.gather(*self._ask_for(connection, self._subscriptions))
            if self._service in SERVICES:
                await self.publish(topics.STATUS, "online", service=self._service)
            for callback in self._callbacks:
                await callback()
        except NotConnected as error:
            log.debug("the greeting was cut short: %s", error)

    def _ask_for(
        self, connection: Connection, subscriptions: list[Subscription[Any]]
    ) -> list[asyncio.Future[None]]:
        wanted = {s.topic.filter(self.root, **s.levels): s.topic.qos for s in subscriptions}
        return [connection.subscribe(pattern, qos) for pattern, qos in wanted.items()]

    def _complain(self, why: str) -> None:
        """Say once why there is no broker, and again only when the reason changes."""
        if why != self._complaint:
            self._complaint = why
            log.warning("no broker at %s: %s; trying again until it answers", self._where, why)

    def _hear(self, connection: Connection, incoming: Incoming) -> None:
        known = topics.which(self.root, incoming.path) or self._foreign(incoming.path)
        if known is None:
            connection.ack(incoming)
            return
        topic, levels = known
        try:
            message = topic.decode(incoming.payload, levels)
        except Unreadable as error:
            connection.ack(incoming)
            self._bury(incoming, str(error))
            return
        ack = partial(self._ack, connection, incoming)
        readers = [s for s in self._subscriptions if s.wants(topic, levels)]
        for reader in readers:
            delivery = Delivery(message, levels, incoming.retained, incoming.received_ns)
            dropped = reader.dropped
            reader.put(delivery.with_ack(ack) if reader.manual_ack else delivery)
            if reader.dropped > dropped:
                self.stats.dropped_in += 1
                if reader.manual_ack:
                    self._ask_again(connection)
        if not any(reader.manual_ack for reader in readers):
            ack()

    def _ask_again(self, connection: Connection) -> None:
        """Connect anew once there is room: what was refused is sent again only then."""
        if self._asking_again is connection:
            return
        self._asking_again = connection
        loop = asyncio.get_running_loop()

        def look() -> None:
            if not connection.alive:
                return  # the next one is sent everything anyhow
            if any(len(reader) for reader in self._subscriptions if reader.manual_ack):
                loop.call_later(ASK_AGAIN_S, look)
            else:
                log.info("connecting anew: there is room for what the broker sent too soon")
                connection.fail(ASK_AGAIN)

        loop.call_later(ASK_AGAIN_S, look)

    def _foreign(self, path: str) -> tuple[Topic[Any], Mapping[str, str]] | None:
        """Return which of the topics that others have laid down this is, and its levels."""
        for topic in (s.topic for s in self._subscriptions if s.topic.prefix is not None):
            levels = topic.levels(self.root, path)
            if levels is not None:
                return topic, levels
        return None

    def _ack(self, connection: Connection, incoming: Incoming) -> None:
        if not connection.ack(incoming):
            self.stats.stale_acks += 1

    def _bury(self, incoming: Incoming, why: str) -> None:
        self.stats.unreadable += 1
        second = incoming.received_ns // 1_000_000_000
        sent = self._dead_letters[1] if self._dead_letters[0] == second else 0
        if self._service not in SERVICES or sent >= DEAD_LETTERS_PER_S:
            return
        self._dead_letters = (second, sent + 1)
        log.warning("an unreadable message on %s: %s", incoming.path[:200], why)
        letter = DeadLetter(
            topic=incoming.path[:1000],
            reason=why[:1000],
            size=len(incoming.payload),
            first_bytes=incoming.payload[:256],
            at=moment_of(incoming.received_ns),
        )
        self.send(topics.DEAD_LETTERS, letter, service=self._service)


def _report_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.error("what was to happen after connecting failed", exc_info=fault)
