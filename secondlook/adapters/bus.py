"""The broker, in our own types. The only module that imports paho.

Each connection is a paho client of its own: what was sent but not acknowledged on one
connection fails there and then, and an acknowledgement knows the connection it belongs to
(packet ids are used again after a reconnect). Paho's network thread keeps the connection
alive whatever the event loop does; everything else happens in the event loop.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from secondlook import topics
from secondlook.adapters.subscriptions import Delivery, Subscription
from secondlook.backoff import Backoff
from secondlook.config import Mqtt
from secondlook.errors import NotConnected, Unreadable
from secondlook.messages import DeadLetter, moment_of
from secondlook.topics import Topic

M = TypeVar("M")
log = logging.getLogger(__name__)

SERVICES = ("producers", "detector", "classifier")
CONNECT_TIMEOUT_S = 5.0
SESSION_S = 86_400
MAX_OUTGOING = 2000
"""Messages handed to paho that have not left yet; paho's own queue has no bound."""
MAX_INCOMING = 20_000
"""Messages off the socket that the event loop has not taken up."""
MAX_PACKET_BYTES = 4_000_000
"""The broker keeps larger ones back (MQTT 5); `max_bytes` of each topic is the finer limit."""
DEAD_LETTERS_PER_S = 20
"""A flood of rubbish must not become a flood of dead letters."""
UNSUPPORTED_PROTOCOL = "Unsupported protocol version"


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


@dataclass(eq=False, slots=True)
class _Connection:
    """One life of a paho client. Fields change in the event loop only."""

    client: paho.Client
    accepted: asyncio.Future[None]
    closed: asyncio.Future[str]
    outgoing: dict[int, asyncio.Future[None] | None] = field(default_factory=dict)
    """By packet id, what paho has not sent (QoS 0) or the broker not acknowledged (QoS 1)."""
    subscribing: dict[int, asyncio.Future[None]] = field(default_factory=dict)
    alive: bool = False

    def fail(self, why: str) -> None:
        """Let everything that waits on this connection know that it is over."""
        self.alive = False
        if not self.closed.done():
            self.closed.set_result(why)
        _refuse(self.accepted, why)
        for waiter in [*self.outgoing.values(), *self.subscribing.values()]:
            _refuse(waiter, f"the broker went away: {why}")
        self.outgoing.clear()
        self.subscribing.clear()


def _refuse(waiter: asyncio.Future[None] | None, why: str) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(NotConnected(why))
        waiter.exception()  # Nobody may be waiting, which is no reason for asyncio to complain.


class Bus:
    """A connection to the broker that comes back by itself.

    Use it as an async context manager: it connects in the background and never raises
    because the broker is away.

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
        self._protocol: MQTTProtocolVersion | None = None
        self._subscriptions: list[Subscription[Any]] = []
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._complaint = ""
        self._backlog = 0
        self._dead_letters = (0, 0)  # second, sent in it

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and has not gone since."""
        return self._connection is not None and self._connection.alive

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_connected(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.connected and self._service in SERVICES:
            with contextlib.suppress(NotConnected, TimeoutError):
                async with asyncio.timeout(1):
                    await self.publish(topics.STATUS, "offline", service=self._service)
        for task in (self._greeting, self._keeper):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

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
        connection = self._connection
        if connection is None or not connection.alive:
            raise NotConnected(f"the broker at {self._mqtt.host}:{self._mqtt.port} is away")
        if len(connection.outgoing) >= MAX_OUTGOING:
            raise NotConnected("the broker is too slow: too many messages wait to be sent")
        properties = None
        if self._protocol == MQTTProtocolVersion.MQTTv5 and topic.expiry_s:
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = topic.expiry_s
        sent = connection.client.publish(
            topic.path(self.root, **levels),
            topic.encode(message),
            qos=topic.qos,
            retain=topic.retain,
            properties=properties,
        )
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise NotConnected(paho.error_string(sent.rc))
        connection.outgoing[sent.mid] = waiter

    async def _keep_connected(self) -> None:
        backoff = Backoff()
        while True:
            try:
                if self._protocol is None:
                    self._protocol = await self._agreed_protocol()
                async with self._connection_of(self._protocol, self._service) as connection:
                    await self._connect(connection, self._wishes())
                    backoff.reset()
                    await self._live(connection)
            except (NotConnected, OSError, TimeoutError, ValueError) as error:
                self._complain(str(error) or type(error).__name__)
            await asyncio.sleep(backoff.next_s())

    async def _agreed_protocol(self) -> MQTTProtocolVersion:
        """Find out whether the broker speaks MQTT 5, with a connection that asks for nothing.

        Brokers that do not know version 5 stumble over the properties of a real connection
        instead of refusing the version, and the trial must not touch the kept session.
        """
        protocol = MQTTProtocolVersion.MQTTv5
        async with self._connection_of(protocol, f"{self._service}-hello") as trial:
            try:
                await self._connect(trial, {})
            except NotConnected as error:
                if UNSUPPORTED_PROTOCOL not in str(error):
                    raise
                log.info("the broker does not speak MQTT 5; using 3.1.1")
                return MQTTProtocolVersion.MQTTv311
        return protocol

    def _wishes(self) -> dict[str, Any]:
        if self._protocol != MQTTProtocolVersion.MQTTv5:
            return {}
        asked = _properties(PacketTypes.CONNECT)
        asked.SessionExpiryInterval = SESSION_S if self._persistent else 0
        asked.MaximumPacketSize = MAX_PACKET_BYTES
        return {"clean_start": not self._persistent, "properties": asked}

    @contextlib.asynccontextmanager
    async def _connection_of(
        self, protocol: MQTTProtocolVersion, name: str
    ) -> AsyncIterator[_Connection]:
        connection = self._new_connection(protocol, name)
        try:
            yield connection
        finally:
            self._connection = None
            connection.fail("closed")
            connection.client.disconnect()
            await asyncio.to_thread(connection.client.loop_stop)

    async def _connect(self, connection: _Connection, wishes: dict[str, Any]) -> None:
        async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
            if self._mqtt.tls is not None:
                connection.client.tls_set_context(self._tls_context())
            address = (self._mqtt.host, self._mqtt.port, self._mqtt.keepalive_s)
            await asyncio.to_thread(connection.client.connect, *address, **wishes)
            connection.client.loop_start()
            await connection.accepted

    async def _live(self, connection: _Connection) -> None:
        connection.alive = True
        self._connection = connection
        self.stats.connects += 1
        self._complaint = ""
        log.info("connected to the broker at %s:%s", self._mqtt.host, self._mqtt.port)
        self._greeting = asyncio.create_task(self._greet(connection), name="bus greeting")
        try:
            why = await connection.closed
        finally:
            self._greeting.cancel()
        self.stats.disconnects += 1
        raise NotConnected(why)

    async def _greet(self, connection: _Connection) -> None:
        """Subscribe, say `online`, tell who wants to know; again on every connection.

        Brokers publish every will when they shut down in good order, so the retained
        status says `offline` after a restart until we say otherwise.
        """
        try:
            waiters = self._ask_for(connection, self._subscriptions)
            await asyncio.gather(*waiters)
            if self._service in SERVICES:
                await self.publish(topics.STATUS, "online", service=self._service)
            for callback in self._callbacks:
                await callback()
        except NotConnected as error:
            log.debug("the greeting was cut short: %s", error)

    def _ask_for(
        self, connection: _Connection, subscriptions: list[Subscription[Any]]
    ) -> list[asyncio.Future[None]]:
        wanted = {s.topic.filter(self.root, **s.levels): s.topic.qos for s in subscriptions}
        waiters = []
        for pattern, qos in wanted.items():
            _, mid = connection.client.subscribe(pattern, qos=qos)
            if mid is not None:
                connection.subscribing[mid] = asyncio.get_running_loop().create_future()
                waiters.append(connection.subscribing[mid])
        return waiters

    def _complain(self, why: str) -> None:
        """Say once why there is no broker, and again only when the reason changes."""
        if why != self._complaint:
            self._complaint = why
            where = f"{self._mqtt.host}:{self._mqtt.port}"
            log.warning("no broker at %s: %s; trying again until it answers", where, why)

    def _new_connection(self, protocol: MQTTProtocolVersion, name: str) -> _Connection:
        v5 = protocol == MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self._mqtt.client_prefix}-{name}",
            clean_session=None if v5 else not self._persistent,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_OUTGOING)
        if self._mqtt.username is not None:
            password = self._mqtt.password.get_secret_value() if self._mqtt.password else None
            client.username_pw_set(self._mqtt.username, password)
        if name in SERVICES:
            will = topics.STATUS.path(self.root, service=self._service)
            client.will_set(will, b"offline", qos=1, retain=True)
        loop = asyncio.get_running_loop()
        connection = _Connection(client, loop.create_future(), loop.create_future())
        connection.accepted.add_done_callback(
            lambda future: future.cancelled() or future.exception()
        )
        self._wire(connection, loop)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        tls = self._mqtt.tls
        context = ssl.create_default_context(cafile=tls.ca_file if tls else None)
        if tls and tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        return context

    def _wire(self, connection: _Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Carry paho's callbacks, which run on its thread, into the event loop."""

        def soon(function: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
                loop.call_soon_threadsafe(function, connection, *arguments)

        def take_up(_c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
            if self._backlog < MAX_INCOMING:
                self._backlog += 1
                soon(self._on_message, message, time.time_ns())
            else:
                self.stats.dropped_in += 1

        client = connection.client
        client.on_socket_open = _no_delay
        client.on_connect = lambda _c, _u, _f, reason, _p: soon(self._on_connack, reason)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: soon(_Connection.fail, str(reason))
        client.on_publish = lambda _c, _u, mid, reason, _p: soon(_on_sent, mid, reason)
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: soon(_on_subscribed, mid, reasons)
        client.on_message = take_up

    @staticmethod
    def _on_connack(connection: _Connection, reason: ReasonCode) -> None:
        if connection.accepted.done():
            return
        if not reason.is_failure:
            connection.accepted.set_result(None)
            return
        _refuse(connection.accepted, f"it refused us: {reason}")

    def _on_message(self, connection: _Connection, raw: paho.MQTTMessage, received_ns: int) -> None:
        def ack() -> None:
            if raw.qos == 0:
                return
            if connection.alive:
                connection.client.ack(raw.mid, raw.qos)
            else:
                self.stats.stale_acks += 1

        self._backlog -= 1
        path = _path_of(raw)
        payload = bytes(raw.payload)
        known = topics.which(self.root, path)
        if known is None:
            ack()
            return
        topic, levels = known
        try:
            message = topic.decode(payload, levels)
        except Unreadable as error:
            ack()
            self._bury(path, payload, str(error), received_ns)
            return
        manual = False
        for subscription in self._subscriptions:
            if subscription.wants(topic, levels):
                delivery = Delivery(
                    message, levels, raw.retain, received_ns, *([ack] * subscription.manual_ack)
                )
                before = subscription.dropped
                subscription.put(delivery)
                self.stats.dropped_in += subscription.dropped - before
                manual = manual or subscription.manual_ack
        if not manual:
            ack()

    def _bury(self, path: str, payload: bytes, why: str, at_ns: int) -> None:
        self.stats.unreadable += 1
        second = at_ns // 1_000_000_000
        sent = self._dead_letters[1] if self._dead_letters[0] == second else 0
        if self._service not in SERVICES or sent >= DEAD_LETTERS_PER_S:
            return
        self._dead_letters = (second, sent + 1)
        log.warning("an unreadable message on %s: %s", path[:200], why)
        letter = DeadLetter(
            topic=path[:1000],
            reason=why[:1000],
            size=len(payload),
            first_bytes=payload[:256],
            at=moment_of(at_ns),
        )
        self.send(topics.DEAD_LETTERS, letter, service=self._service)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves its constructor untyped


def _path_of(raw: paho.MQTTMessage) -> str:
    try:
        return raw.topic
    except UnicodeDecodeError:
        return ""


def _no_delay(_client: paho.Client, _userdata: object, opened: Any) -> None:  # noqa: ANN401 - a socket or what wraps one
    # Without it, Nagle's algorithm holds small messages back for up to 40 ms.
    with contextlib.suppress(OSError, AttributeError):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _on_sent(connection: _Connection, mid: int, reason: ReasonCode) -> None:
    waiter = connection.outgoing.pop(mid, None)
    if waiter is None or waiter.done():
        return
    if reason.is_failure:
        _refuse(waiter, f"the broker refused the message: {reason}")
    else:
        waiter.set_result(None)


def _on_subscribed(connection: _Connection, mid: int, reasons: list[ReasonCode]) -> None:
    for reason in reasons:
        if reason.is_failure:
            log.error("the broker refused a subscription: %s; check its access rules", reason)
    waiter = connection.subscribing.pop(mid, None)
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
