"""The embedded broker as `up` and `demo` start it: mosquitto, and amqtt where there is none."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from secondlook.local.broker import broker_name, broker_part, mosquitto
from secondlook.local.probes import free_port
from secondlook.local.supervisor import Supervisor
from secondlook.messages import Replay

pytestmark = pytest.mark.integration
needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
KINDS = [pytest.param("mosquitto", marks=needs_mosquitto), "amqtt"]


class Running:
    def __init__(self, supervisor: Supervisor, port: int) -> None:
        self.supervisor = supervisor
        self.mqtt = Mqtt(port=port)

    async def kill(self) -> None:
        """Kill it and wait until the supervisor has started another."""
        pid = self.supervisor.pid("broker")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while self.supervisor.starts["broker"] < 2:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.05)
        await self.supervisor.ready("broker", 30)


@pytest.fixture
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    port = free_port()
    supervisor = Supervisor(lambda _name, _line: None)
    amqtt = getattr(request, "param", "mosquitto") == "amqtt"
    supervisor.start(broker_part(tmp_path, port, prefer_amqtt=amqtt))
    await supervisor.ready("broker", 30)
    yield Running(supervisor, port)
    await supervisor.stop()


def holds(file: Path, *words: bytes) -> bool:
    """Tell whether a file, which is replaced as a whole, has all these words in it."""
    return file.exists() and all(word in file.read_bytes() for word in words)


async def connected(bus: Bus) -> None:
    there = asyncio.Event()

    async def note() -> None:
        there.set()

    bus.on_connect(note)
    async with asyncio.timeout(20):
        await there.wait()


@pytest.mark.parametrize("broker", KINDS, indirect=True)
async def test_messages_go_through(broker: Running) -> None:
    async with Bus(broker.mqtt, service="one") as bus:
        heard = bus.subscribe(topics.STATE)
        await connected(bus)

        await bus.publish(topics.STATE, "ON", camera="yard", label="small_gun")

        async with asyncio.timeout(20):
            delivery = (await heard.batch(1))[0]
    assert delivery.message == "ON"
    assert delivery.levels == {"camera": "yard", "label": "small_gun"}


@pytest.mark.parametrize("broker", KINDS, indirect=True)
async def test_only_this_machine_can_connect(broker: Running) -> None:
    listening = (await asyncio.to_thread(Path("/proc/net/tcp").read_text)).splitlines()[1:]
    port = f":{broker.mqtt.port:04X}"
    addresses = {line.split()[1] for line in listening if line.split()[1].endswith(port)}
    servers = {a for a in addresses if socket.inet_ntoa(bytes.fromhex(a[:8])[::-1]) != "127.0.0.1"}

    assert addresses
    assert servers == set()


@needs_mosquitto
async def test_what_mosquitto_acknowledged_survives_its_death(
    broker: Running, tmp_path: Path
) -> None:
    async with Bus(broker.mqtt, service="reader", persistent=True) as reader:
        reader.subscribe(topics.REPLAY)
        await connected(reader)
    async with Bus(broker.mqtt, service="writer") as writer:
        await connected(writer)
        await writer.publish(topics.STATE, "ON", camera="yard", label="big_gun")
        await writer.publish(topics.REPLAY, Replay.model_validate(ASKED))
        # Persistence is written by a timer.
        written = tmp_path / "mosquitto" / "mosquitto.db"
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(holds, written, b"state/yard/big_gun", b'"me"'):  # noqa: ASYNC110 - another program's file
                await asyncio.sleep(0.1)

    await broker.kill()

    async with Bus(broker.mqtt, service="reader", persistent=True) as reader:
        queued, kept = reader.subscribe(topics.REPLAY), reader.subscribe(topics.STATE)
        async with asyncio.timeout(20):
            assert (await queued.batch(1))[0].message.client == ASKED["client"]
            assert (await kept.batch(1))[0].retained


@needs_mosquitto
async def test_a_burst_is_not_cut_at_mosquittos_defaults(broker: Running) -> None:
    async with Bus(broker.mqtt, service="reader", persistent=True) as reader:
        reader.subscribe(topics.REPLAY)
        await connected(reader)
    async with Bus(broker.mqtt, service="writer") as writer:
        await connected(writer)
        asked = [Replay.model_validate({**ASKED, "client": f"c-{n}"}) for n in range(1100)]
        await asyncio.gather(*(writer.publish(topics.REPLAY, one) for one in asked))

    async with Bus(broker.mqtt, service="reader", persistent=True) as reader:
        queued = reader.subscribe(topics.REPLAY, limit=2000)
        clients: set[str] = set()
        async with asyncio.timeout(30):
            while len(clients) < 1100:
                clients |= {d.message.client for d in await queued.batch(100)}


def test_the_user_is_told_which_broker_it_is() -> None:
    assert "loses unacknowledged messages" in broker_name(prefer_amqtt=True)


ASKED = {"since": "2026-11-22T06:13:20Z", "client": "me"}
