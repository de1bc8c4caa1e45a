"""The bus against real brokers that are killed, frozen and fed rubbish."""

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import JsonValue

from secondlook import topics
from secondlook.adapters import connection
from secondlook.adapters.bus import DEAD_LETTERS_PER_S, Bus
from secondlook.config import Mqtt
from secondlook.errors import NotConnected
from secondlook.messages import CropMessage, Feedback, Seen
from tests.integration.broker_fixtures import PATIENCE_S, opened

pytestmark = pytest.mark.integration


FEEDBACK = Feedback(id=f"yard-{'0' * 26}", truth="false_alarm")
SEEN = Seen(camera="yard", run="r1", media_ns=0, captured_ns=0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in other processes
            await asyncio.sleep(0.01)


def connected(mqtt: Mqtt, service: str, **kwargs: Any) -> AbstractAsyncContextManager[Bus]:
    return opened(Bus(mqtt, service=service, **kwargs))


async def subscribed(bus: Bus) -> None:
    """Wait until the broker has answered every subscription of a bus that is connected."""
    await until(lambda: bus._connection is not None and not bus._connection._subscribing)


async def status_of(mqtt: Mqtt, service: str, wanted: str) -> None:
    async with connected(
        mqtt, f"asks-{datetime.now(UTC).timestamp():.6f}".replace(".", "-")
    ) as ask:
        heard = ask.subscribe(topics.STATUS, service=service)
        async with asyncio.timeout(PATIENCE_S):
            async for delivery in heard:
                if delivery.message == wanted:
                    return


def seen(number: int) -> Seen:
    return SEEN.model_copy(update={"media_ns": number})


async def test_a_message_travels_from_one_service_to_another(any_broker) -> None:
    async with (
        connected(any_broker.mqtt(), "classifier") as hears,
        connected(any_broker.mqtt(), "detector") as speaks,
    ):
        crops = hears.subscribe(topics.CROPS)
        await subscribed(hears)
        await speaks.publish(topics.CROPS, SEEN, camera="yard")
        async with asyncio.timeout(PATIENCE_S):
            (delivery,) = await crops.batch(10)
    assert delivery.message == SEEN
    assert delivery.levels == {"camera": "yard"}
    assert not delivery.retained


async def test_a_service_is_online_while_it_lives_and_offline_when_it_leaves(any_broker) -> None:
    async with connected(any_broker.mqtt(), "detector"):
        await status_of(any_broker.mqtt(), "detector", "online")
    await status_of(any_broker.mqtt(), "detector", "offline")


async def test_the_broker_says_offline_when_a_service_dies(broker) -> None:
    async with connected(broker.mqtt(), "detector") as bus:
        await status_of(broker.mqtt(), "detector", "online")
        connection = bus._connection
        assert connection is not None
        opened = connection.client.socket()
        assert isinstance(opened, socket.socket)
        assert bus._keeper is not None
        bus._keeper.cancel()
        opened.shutdown(socket.SHUT_RDWR)
        await status_of(broker.mqtt(), "detector", "offline")


async def test_after_a_broker_restart_a_service_is_online_again_and_still_subscribed(
    broker,
) -> None:
    async with connected(broker.mqtt(), "classifier") as bus:
        greetings: list[int] = []

        async def greet() -> None:
            greetings.append(bus.stats.connects)

        bus.on_connect(greet)
        crops = bus.subscribe(topics.CROPS)
        broker.kill()
        await until(lambda: not bus.connected)
        with pytest.raises(NotConnected):
            await bus.publish(topics.CROPS, SEEN, camera="yard")
        assert bus.send(topics.CROPS, SEEN, camera="yard") is False
        assert bus.stats.dropped_out == 1
        broker.start()
        await until(lambda: bus.connected and 2 in greetings)
        await status_of(broker.mqtt(), "classifier", "online")
        await bus.publish(topics.CROPS, SEEN, camera="yard")
        async with asyncio.timeout(PATIENCE_S):
            (delivery,) = await crops.batch(1)
        assert delivery.message == SEEN
        assert greetings[-1:] == [2], "the first greeting may come late, the second comes once"


async def test_a_service_can_start_before_its_broker(broker) -> None:
    broker.kill()
    async with Bus(broker.mqtt(), service="classifier") as bus:
        await asyncio.sleep(0.5)
        assert not bus.connected
        broker.start()
        await until(lambda: bus.connected)


async def test_what_is_not_acknowledged_comes_again_and_an_old_acknowledgement_is_dropped(
    broker,
) -> None:
    async with (
        connected(broker.mqtt(), "classifier", persistent=True) as hears,
        connected(broker.mqtt(), "detector") as speaks,
    ):
        crops = hears.subscribe(topics.CROPS, manual_ack=True)
        await subscribed(hears)
        for number in range(5):
            await speaks.publish(topics.CROPS, seen(number), camera="yard")
        await until(lambda: len(crops) == 5)
        before = await crops.batch(5)
        broker.stop()  # SIGTERM: it writes its sessions to disk
        await until(lambda: not hears.connected)
        broker.start()
        await until(lambda: len(crops) == 5)
        # The packet ids are in use again. The late acknowledgements must not count for them.
        for delivery in before:
            delivery.ack()
        assert hears.stats.stale_acks == 5
        again = await crops.batch(5)
        assert [d.message for d in again] == [d.message for d in before]
        again[0].ack()
        await hears.publish(topics.FEEDBACK, FEEDBACK)  # the acknowledgement left before it
        broker.stop()  # SIGTERM: it writes its sessions to disk
        await until(lambda: not hears.connected)
        broker.start()
        await until(lambda: len(crops) == 4)
        assert [d.message for d in await crops.batch(5)] == [seen(n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("unacknowledged", [20, 1000], ids=["the-broker-waits", "it-floods-us"])
async def test_what_does_not_fit_comes_once_there_is_room(
    broker, monkeypatch, unacknowledged
) -> None:
    monkeypatch.setattr(connection, "MOST_UNACKNOWLEDGED", unacknowledged)
    async with (
        connected(broker.mqtt(), "classifier", persistent=True) as hears,
        connected(broker.mqtt(), "detector") as speaks,
    ):
        crops = hears.subscribe(topics.CROPS, manual_ack=True, limit=20)
        await subscribed(hears)
        for number in range(60):
            await speaks.publish(topics.CROPS, seen(number), camera="yard")
        if unacknowledged > 20:
            await until(lambda: crops.dropped == 40)
        found: list[CropMessage] = []
        while any(seen(number) not in found for number in range(60)):
            async with asyncio.timeout(PATIENCE_S):
                taken = await crops.batch(7)
            found += [delivery.message for delivery in taken]
            for delivery in taken:
                delivery.ack()
        assert found[:20] == [seen(number) for number in range(20)]


async def test_a_connection_that_is_given_up_while_it_is_made_leaves_no_socket(
    broker, monkeypatch
) -> None:
    begun: list[paho.Client] = []
    opened: list[Any] = []
    connect = paho.Client.connect

    def slowly(client: paho.Client, *arguments: Any, **more: Any) -> Any:
        begun.append(client)
        time.sleep(1.0)
        done = connect(client, *arguments, **more)
        opened.append(client.socket())
        return done

    monkeypatch.setattr(paho.Client, "connect", slowly)
    async with Bus(broker.mqtt(), service="detector"):
        await until(lambda: begun)
    await until(lambda: opened and all(each.fileno() == -1 for each in opened))


async def test_publishing_fails_when_the_broker_freezes(broker) -> None:
    async with connected(Mqtt(port=broker.port, keepalive_s=1), "detector") as bus:
        broker.freeze()
        with pytest.raises(NotConnected):
            await bus.publish(topics.CROPS, SEEN, camera="yard")
        broker.thaw()
        async with asyncio.timeout(PATIENCE_S):
            while not await is_taken(bus):  # noqa: ASYNC110 - the broker is another process
                await asyncio.sleep(0.1)


async def is_taken(bus: Bus) -> bool:
    """Publish; tell whether the broker took it: a busy one may be given up once more."""
    try:
        await bus.publish(topics.CROPS, SEEN, camera="yard")
    except NotConnected:
        return False
    return True


async def test_every_reader_of_a_topic_hears_a_message_once(broker) -> None:
    async with connected(broker.mqtt(), "classifier") as bus:
        readers = [bus.subscribe(topics.CROPS, camera="yard") for _ in range(2)]
        with pytest.raises(ValueError, match="other levels"):
            bus.subscribe(topics.CROPS)
        await subscribed(bus)
        hall = Seen(camera="hall", run="r", media_ns=0, captured_ns=0)
        await bus.publish(topics.CROPS, hall, camera="hall")
        await bus.publish(topics.CROPS, SEEN, camera="yard")
        await bus.publish(topics.CROPS, seen(1), camera="yard")
        await until(lambda: all(len(reader) == 2 for reader in readers))
        for reader in readers:
            assert [d.message for d in await reader.batch(5)] == [SEEN, seen(1)]


async def test_a_full_queue_drops_its_oldest_and_counts(broker) -> None:
    async with connected(broker.mqtt(), "classifier") as bus:
        crops = bus.subscribe(topics.CROPS, limit=3)
        await subscribed(bus)
        for number in range(5):
            await bus.publish(topics.CROPS, seen(number), camera="yard")
        await until(lambda: bus.stats.dropped_in == 2)
        assert [d.message for d in await crops.batch(5)] == [seen(n) for n in (2, 3, 4)]


RUBBISH = {
    "not JSON": b"hello",
    "binary": bytes(range(256)),
    "nothing": b"",
    "another schema": b'{"schema": "secondlook/other/9"}',
    "a wrong field": b'{"schema":"secondlook/seen/1","camera":"yard","run":"r","media_ns":-1}',
    "NaN": b'{"schema":"secondlook/seen/1","camera":"yard","run":"r","media_ns":NaN}',
    "deep nesting": b"[" * 200_000,
    "3.5 MB": b'"' + b"x" * 3_500_000 + b'"',
    "another camera": Seen(camera="hall", run="r", media_ns=0, captured_ns=0).encode(),
    "a path for a camera": SEEN.encode().replace(b"yard", b"../etc"),
    "a huge number": SEEN.encode().replace(b'"media_ns":0', b'"media_ns":' + b"9" * 5000),
}


@pytest.mark.parametrize("payload", RUBBISH.values(), ids=RUBBISH.keys())
async def test_rubbish_goes_to_the_dead_letters_and_the_next_message_is_read(
    broker, payload: bytes
) -> None:
    async with (
        connected(broker.mqtt(), "classifier") as bus,
        connected(broker.mqtt(), "operator") as operator,
    ):
        crops = bus.subscribe(topics.CROPS)
        letters = operator.subscribe(topics.DEAD_LETTERS)
        await subscribed(bus)
        await subscribed(operator)
        raw_publish(broker.port, "secondlook/crops/yard", payload)
        async with asyncio.timeout(PATIENCE_S):
            (letter,) = await letters.batch(1)
            assert letter.message.topic == "secondlook/crops/yard"
            assert letter.message.size == len(payload)
            assert payload.startswith(letter.message.first_bytes)
            assert bus.stats.unreadable == 1
            await bus.publish(topics.CROPS, SEEN, camera="yard")
            assert (await crops.batch(1))[0].message == SEEN


async def test_a_message_larger_than_any_may_be_never_arrives_and_hurts_nobody(broker) -> None:
    async with connected(broker.mqtt(), "classifier") as bus:
        crops = bus.subscribe(topics.CROPS)
        await subscribed(bus)
        raw_publish(broker.port, "secondlook/crops/yard", b"x" * 10_000_000)
        await bus.publish(topics.CROPS, SEEN, camera="yard")
        async with asyncio.timeout(PATIENCE_S):
            assert (await crops.batch(1))[0].message == SEEN
        assert bus.stats.disconnects == 0


async def test_a_flood_of_rubbish_is_not_answered_with_a_flood_of_letters(broker) -> None:
    async with (
        connected(broker.mqtt(), "classifier") as bus,
        connected(broker.mqtt(), "operator") as operator,
    ):
        bus.subscribe(topics.FEEDBACK)
        letters = operator.subscribe(topics.DEAD_LETTERS, limit=10_000)
        await subscribed(bus)
        await subscribed(operator)
        # In a thread: on a busy machine it takes longer than a connection may be silent.
        await asyncio.to_thread(
            raw_publish, broker.port, "secondlook/feedback", b"rubbish", times=500
        )
        await until(lambda: bus.stats.unreadable >= 500)
        await asyncio.sleep(0.3)
        async with asyncio.timeout(PATIENCE_S):
            found = await letters.batch(10_000)
        by_second = Counter(letter.message.at.replace(microsecond=0) for letter in found)
        assert max(by_second.values()) <= DEAD_LETTERS_PER_S
        heard = operator.subscribe(topics.FEEDBACK)
        await subscribed(operator)
        await bus.publish(topics.FEEDBACK, FEEDBACK)
        async with asyncio.timeout(PATIENCE_S):
            assert (await heard.batch(1))[0].message == FEEDBACK


async def test_a_wrong_password_is_said_and_tried_again(broker, caplog) -> None:
    refusing = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = refusing.sockets[0].getsockname()[1]
    secret = {"username": "me", "password": "hunter2"}
    async with Bus(Mqtt(port=port, **secret), service="detector") as bus:
        await until(lambda: "ot authorized" in caplog.text)
        assert not bus.connected
    refusing.close()
    assert "hunter2" not in caplog.text


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer CONNECT with an MQTT 5 CONNACK of reason 0x87, not authorized."""
    await reader.read(100)
    writer.write(bytes([0x20, 0x03, 0x00, 0x87, 0x00]))
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def raw_publish(port: int, topic: str, payload: bytes, times: int = 1) -> None:
    """Publish what our own bus would never send."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for sent in [client.publish(topic, payload, qos=1) for _ in range(times)]:
        sent.wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


async def test_plain_topics_and_json_values_travel_too(any_broker) -> None:
    async with connected(any_broker.mqtt(), "classifier") as bus:
        states = bus.subscribe(topics.STATE)
        commands = bus.subscribe(topics.SET)
        pictures = bus.subscribe(topics.SNAPSHOTS)
        await subscribed(bus)
        await bus.publish(topics.STATE, "ON", camera="yard", label="small_gun")
        command: JsonValue = {"label": "big_gun"}
        await bus.publish(topics.SET, command, camera="yard", key="test_alert")
        await bus.publish(topics.SNAPSHOTS, b"\xff\xd8\xff", camera="yard")
        async with asyncio.timeout(PATIENCE_S):
            assert (await states.batch(1))[0].message == "ON"
            (heard,) = await commands.batch(1)
            assert (heard.message, heard.levels["key"]) == (command, "test_alert")
            assert (await pictures.batch(1))[0].message == b"\xff\xd8\xff"
    assert json.loads(topics.SET.encode(None)) is None
