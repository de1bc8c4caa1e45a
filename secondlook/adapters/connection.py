"""One life of a connection to an MQTT broker. The only module that imports paho.

Paho's network thread keeps the connection alive whatever the event loop does; its callbacks
are carried into the event loop, where everything else happens.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from secondlook.adapters import tls
from secondlook.config import Mqtt
from secondlook.errors import NotConnected

log = logging.getLogger(__name__)

Version = MQTTProtocolVersion
MQTT_5, MQTT_3 = Version.MQTTv5, Version.MQTTv311
CONNECT_TIMEOUT_S = 5.0
SESSION_S = 86_400
"""How long the broker keeps messages for a client that asked for it (MQTT 5)."""
MAX_OUTGOING = 2000
"""Messages handed to paho that have not left yet; paho's own queue has no bound."""
MAX_INCOMING = 20_000
"""Messages off the socket that the event loop has not taken up."""
MOST_UNACKNOWLEDGED = 1000
"""Messages that the broker may send before the first is acknowledged (MQTT 5): not more than wait
in a `Subscription`. Mosquitto 2.0.11 sends more when several acknowledgements reach it at once."""
MAX_PACKET_BYTES = 4_000_000
"""The broker keeps larger ones back (MQTT 5); `max_bytes` of each topic is the finer limit."""
UNSUPPORTED_PROTOCOL = "Unsupported protocol version"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came off the socket."""

    path: str
    payload: bytes
    qos: int
    retained: bool
    received_ns: int
    """Unix time."""
    packet: int
    """Its packet id, which means something on its own connection only."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send."""

    path: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    """Used with MQTT 5."""


class Connection:
    """A paho client that is thrown away when it loses its broker.

    Args:
        mqtt: Where the broker is, and who we are.
        name: Ends the client id.
        protocol: The version of MQTT to speak.
        persistent: Let the broker keep messages for this client id while it is away.
        will: A topic on which the broker is to say `offline` (retained) if we die.
        hear: Called in the event loop with each message.
    """

    def __init__(
        self,
        mqtt: Mqtt,
        *,
        name: str,
        protocol: Version,
        persistent: bool,
        will: str | None,
        hear: Callable[["Connection", Incoming], None],
    ) -> None:
        self._mqtt = mqtt
        self._v5 = protocol == MQTT_5
        self._persistent = persistent
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        """Done with the reason when the connection has gone."""
        self._outgoing: dict[int, asyncio.Future[None] | None] = {}
        self._subscribing: dict[int, asyncio.Future[None]] = {}
        self._refusals: set[str] = set()
        self._backlog = 0
        self._given_up = False
        self.alive = False
        """Whether the broker has accepted us and has not gone since."""
        self.dropped = 0
        """Messages for which the event loop was too slow."""
        self.client = self._new_client(name, protocol, will)

    def _new_client(self, name: str, protocol: Version, will: str | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{self._mqtt.client_prefix}-{name}",
            clean_session=None if self._v5 else not self._persistent,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_OUTGOING)
        if self._mqtt.username is not None:
            password = self._mqtt.password.get_secret_value() if self._mqtt.password else None
            client.username_pw_set(self._mqtt.username, password)
        if will is not None:
            client.will_set(will, b"offline", qos=1, retain=True)
        client.on_socket_open = _no_delay
        client.on_connect = lambda _c, _u, _f, reason, _p: self._soon(self._on_connack, reason)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self._soon(self.fail, str(reason))
        client.on_publish = lambda _c, _u, mid, reason, _p: self._soon(self._on_sent, mid, reason)
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._soon(
            self._on_subscribed, mid, reasons
        )
        client.on_message = self._take_up
        return client

    async def open(self, *, plain: bool = False) -> None:
        """Connect, and wait until the broker accepts us.

        Args:
            plain: Ask for nothing: no properties, which only MQTT 5 brokers understand.

        Raises:
            ConfigError: The files for TLS cannot be used.
            NotConnected: The broker refused us.
            OSError: There is no broker, or its certificate is wrong.
            TimeoutError: It did not answer.
        """
        wishes: dict[str, Any] = {}
        if self._v5 and not plain:
            asked = _properties(PacketTypes.CONNECT)
            asked.SessionExpiryInterval = SESSION_S if self._persistent else 0
            asked.MaximumPacketSize = MAX_PACKET_BYTES
            asked.ReceiveMaximum = MOST_UNACKNOWLEDGED
            wishes = {"clean_start": not self._persistent, "properties": asked}
        if self._mqtt.tls is not None:
            self.client.tls_set_context(tls.context(self._mqtt.tls))
        address = (self._mqtt.host, self._mqtt.port, self._mqtt.keepalive_s)
        async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
            await asyncio.to_thread(self._connect, *address, **wishes)
            self.client.loop_start()
            await self._accepted
        self.alive = True

    def _connect(self, *address: Any, **wishes: Any) -> None:  # noqa: ANN401 - paho's own
        self.client.connect(*address, **wishes)
        if self._given_up:
            self._shut()

    async def close(self) -> None:
        """Leave in good order and let everything that waits on this connection know."""
        # A thread that is still connecting cannot be stopped: it leaves by itself.
        self._given_up = True
        self.fail("closed")
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)
        self._shut()
        self._let_go()

    def _shut(self) -> None:
        opened = self.client.socket()
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.close()

    def _let_go(self) -> None:
        """Undo the circle between us and paho's client, which holds two sockets until it goes."""
        client = self.client
        client.on_connect = client.on_disconnect = client.on_message = None
        client.on_publish = client.on_subscribe = client.on_socket_open = None

    def fail(self, why: str) -> None:
        """Let everything that waits on this connection know that it is over."""
        self.alive = False
        if not self.closed.done():
            self.closed.set_result(why)
        _refuse(self._accepted, f"it hung up before it answered; {tls.hint(self._mqtt)}")
        for waiter in [*self._outgoing.values(), *self._subscribing.values()]:
            _refuse(waiter, f"the broker went away: {why}")
        self._outgoing.clear()
        self._subscribing.clear()

    def send(self, message: Outgoing, waiter: asyncio.Future[None] | None) -> None:
        """Hand a message to paho; `waiter` learns when it is acknowledged (QoS 0: written).

        Raises:
            NotConnected: The connection is over, or too much waits to be sent.
        """
        if not self.alive:
            raise NotConnected("the broker is away")
        if len(self._outgoing) >= MAX_OUTGOING:
            raise NotConnected("the broker is too slow: too many messages wait to be sent")
        properties = None
        if self._v5 and message.expiry_s:
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = message.expiry_s
        sent = self.client.publish(
            message.path, message.payload, message.qos, message.retain, properties
        )
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise NotConnected(paho.error_string(sent.rc))
        self._outgoing[sent.mid] = waiter

    def subscribe(self, pattern: str, qos: int) -> asyncio.Future[None]:
        """Ask for a topic; the result is done when the broker has answered."""
        answered: asyncio.Future[None] = self._loop.create_future()
        _, mid = self.client.subscribe(pattern, qos=qos)
        if mid is None:
            _refuse(answered, "the broker is away")
        else:
            self._subscribing[mid] = answered
        return answered

    def ack(self, message: Incoming) -> bool:
        """Acknowledge a message; return False if the connection has gone."""
        if self.alive and message.qos > 0:
            self.client.ack(message.packet, message.qos)
        return self.alive or message.qos == 0

    def _soon(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
            self._loop.call_soon_threadsafe(function, *arguments)

    def _take_up(self, _c: paho.Client, _u: object, raw: paho.MQTTMessage) -> None:
        if self._backlog >= MAX_INCOMING:
            self.dropped += 1
            return
        self._backlog += 1
        try:
            path = raw.topic
        except UnicodeDecodeError:
            path = ""
        self._soon(
            self._deliver,
            Incoming(path, bytes(raw.payload), raw.qos, raw.retain, time.time_ns(), raw.mid),
        )

    def _deliver(self, message: Incoming) -> None:
        self._backlog -= 1
        self._hear(self, message)

    def _on_connack(self, reason: ReasonCode) -> None:
        if reason.is_failure:
            _refuse(self._accepted, f"it refused us: {reason}")
        elif not self._accepted.done():
            self._accepted.set_result(None)

    def _on_sent(self, mid: int, reason: ReasonCode) -> None:
        waiter = self._outgoing.pop(mid, None)
        if reason.is_failure:
            _refuse(waiter, f"the broker refused the message: {reason}")
            if waiter is None and str(reason) not in self._refusals:
                self._refusals.add(str(reason))
                log.warning("the broker refuses messages: %s; check its access rules", reason)
        elif waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _on_subscribed(self, mid: int, reasons: list[ReasonCode]) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("the broker refused a subscription: %s; check its access rules", reason)
        waiter = self._subscribing.pop(mid, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _refuse(waiter: asyncio.Future[None] | None, why: str) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(NotConnected(why))
        waiter.exception()  # Nobody may be waiting, which is no reason for asyncio to complain.


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves its constructor untyped


def _no_delay(_client: paho.Client, _userdata: object, opened: Any) -> None:  # noqa: ANN401 - a socket or what wraps one
    # Without it, Nagle's algorithm holds small messages back for up to 40 ms.
    with contextlib.suppress(OSError, AttributeError):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
