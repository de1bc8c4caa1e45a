"""Handles every message of a topic as it comes."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery, Subscription
from secondlook.topics import Topic

M = TypeVar("M")


def listen(bus: Bus, topic: Topic[M], handle: Callable[[Delivery[M]], None]) -> asyncio.Task[None]:
    """Subscribe, and handle each message until the task is cancelled."""
    return asyncio.create_task(_hear(bus.subscribe(topic), handle), name=topic.pattern)


async def _hear(heard: Subscription[M], handle: Callable[[Delivery[M]], None]) -> None:
    async for delivery in heard:
        handle(delivery)
