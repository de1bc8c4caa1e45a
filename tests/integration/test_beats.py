"""Services that freeze on a real broker, whatever that broker thinks of silent clients."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from tests.integration.broker_fixtures import Broker
from tests.integration.broker_fixtures import running as broker_running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 50

# A service with nothing to do. Its keepalive is so long that only the others can notice.
IDLE = """
import asyncio, logging, sys
from secondlook.adapters.bus import Bus
from secondlook.beating import beat_and_watch
from secondlook.config import Mqtt

async def main(port, name):
    async with Bus(Mqtt(port=port, keepalive_s=600), service=name) as bus:
        await beat_and_watch(bus, name)

logging.basicConfig()
asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_running("mosquitto") as running:
        yield running


@contextlib.contextmanager
def idle(broker: Broker, name: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", IDLE, str(broker.port), name])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


class Ear:
    """Hears the statuses."""

    def __init__(self, bus: Bus) -> None:
        self._heard = bus.subscribe(topics.STATUS)
        self.all: list[tuple[str, str]] = []

    async def until(self, service: str, status: str) -> float:
        """Wait for a status; return the seconds it took."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for delivery in self._heard:
                    self.all.append((delivery.levels["service"], delivery.message))
                    if self.all[-1] == (service, status):
                        break
        except TimeoutError:
            pytest.fail(f"{service} is not {status}; heard was {self.all}")
        return time.monotonic() - began_s


@pytest.mark.parametrize(
    ("frozen", "watcher"),
    [("producers", "classifier"), ("detector", "classifier"), ("classifier", "detector")],
)
async def test_a_frozen_service_is_offline_by_the_word_of_another_and_objects_when_it_thaws(
    broker: Broker, frozen: str, watcher: str
) -> None:
    async with Bus(Mqtt(port=broker.port), service="test") as bus:
        ear = Ear(bus)
        with idle(broker, watcher), idle(broker, frozen) as process:
            await ear.until(frozen, "online")
            beats = bus.subscribe(topics.BEATS)
            heard: set[str] = set()
            while heard < {frozen, watcher}:
                heard.add((await beats.batch(1))[0].levels["service"])
            # Enough beats that the watcher knows both.
            for _ in range(6):
                await beats.batch(1)

            process.send_signal(signal.SIGSTOP)
            took_s = await ear.until(frozen, "offline")
            process.send_signal(signal.SIGCONT)
            back_s = await ear.until(frozen, "online")

    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert 2 < took_s < 6 * busy
    assert back_s < 3 * busy


async def test_a_service_that_stops_in_order_does_not_object_to_its_own_goodbye(
    broker: Broker,
) -> None:
    async with Bus(Mqtt(port=broker.port), service="test") as bus:
        ear = Ear(bus)
        with idle(broker, "classifier"), idle(broker, "producers") as process:
            await ear.until("producers", "online")
            process.send_signal(signal.SIGINT)
            await ear.until("producers", "offline")
            process.wait(10)
        async with Bus(Mqtt(port=broker.port), service="late") as late:
            assert await Ear(late).until("producers", "offline") >= 0
