"""Reach the broker, or say that there is none."""

import asyncio

from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from secondlook.errors import NotConnected

WAIT_S = 10.0


async def reach(bus: Bus, mqtt: Mqtt) -> None:
    """Wait until a bus that was just opened is connected and its subscriptions stand.

    Raises:
        NotConnected: No broker takes us.
    """
    connected = asyncio.Event()

    async def note() -> None:
        connected.set()

    bus.on_connect(note)
    try:
        async with asyncio.timeout(WAIT_S):
            await connected.wait()
    except TimeoutError:
        raise NotConnected(
            f"no broker answers at {mqtt.host}:{mqtt.port}; is secondlook running?"
        ) from None
