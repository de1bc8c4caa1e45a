"""What a connection to a broker leaves behind when it is over: nothing."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.adapters.bus import Bus
from tests.integration.broker_fixtures import Broker

pytestmark = pytest.mark.integration


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let nothing be cleaned up that is not let go of."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def sockets() -> set[str]:
    links = (each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return {str(link) for link in links if str(link).startswith("socket:")}


async def used(broker: Broker) -> None:
    async with Bus(broker.mqtt(), service="tester") as bus:
        bus.subscribe(topics.STATUS)
        async with asyncio.timeout(60):
            while not bus.connected:  # noqa: ASYNC110 - the bus has no event for it
                await asyncio.sleep(0.01)


async def test_its_sockets_are_closed_without_being_looked_for(
    broker: Broker, uncollected: None
) -> None:
    before = await asyncio.to_thread(sockets)
    for _ in range(3):
        await used(broker)
    async with asyncio.timeout(60):
        # What was called off ends in the next turns of the loop.
        while await asyncio.to_thread(sockets) - before:  # noqa: ASYNC110 - the kernel has no event
            await asyncio.sleep(0.01)
