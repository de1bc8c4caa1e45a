"""From the bus into the fold: what the page hears, asks for, and says."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.following import Follower
from secondlook.adapters.subscriptions import Delivery, Subscription
from secondlook.config import Config
from secondlook.errors import NotConnected
from secondlook.messages import Feedback
from secondlook.page.fold import Fold
from secondlook.service import Context

M = TypeVar("M")

LOOK_BACK = timedelta(days=1)
"""What the classifier still has of the alerts since then is asked for at the start."""
TICK_S = 0.5
TELL_S = 5.0
"""In which the broker takes feedback."""


async def hear(bus: Bus, fold: Fold, context: Context, config: Config) -> None:
    """Keep the fold up to date until cancelled."""

    def status(delivery: Delivery[topics.OnlineOffline]) -> None:
        fold.service_status(delivery.levels["service"], online=delivery.message == "online")

    def camera_status(delivery: Delivery[topics.OnlineOffline]) -> None:
        fold.camera_status(delivery.levels["camera"], online=delivery.message == "online")

    def state(delivery: Delivery[topics.OnOff]) -> None:
        levels = delivery.levels
        fold.state(levels["camera"], levels["label"], on=delivery.message == "ON")

    work = (
        _each(bus.subscribe(topics.STATUS), status),
        _each(bus.subscribe(topics.STATS), lambda d: fold.stats(d.levels["service"], d.message)),
        _each(bus.subscribe(topics.CAMERA_STATUS), camera_status),
        _each(bus.subscribe(topics.FRAMES), lambda d: fold.frame(d.message, time.monotonic())),
        _each(bus.subscribe(topics.VERDICTS), lambda d: fold.verdict(d.message)),
        _each(bus.subscribe(topics.LAST), lambda d: fold.alert(d.message)),
        _each(bus.subscribe(topics.STATE), state),
        _each(
            bus.subscribe(topics.SNAPSHOTS),
            lambda d: fold.snapshot(d.levels["camera"], d.message),
        ),
        _each(bus.subscribe(topics.COUNTERS), lambda d: fold.counters(d.message)),
        _each(bus.subscribe(topics.BLIND), lambda d: fold.blind(d.message)),
        _each(
            bus.subscribe(topics.CONFIG),
            lambda d: fold.setting(d.levels["camera"], d.levels["key"], d.message),
        ),
        _follow(bus, fold, config.page.client),
        _tick(bus, fold, context, ZoneInfo(config.timezone)),
    )
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


async def _each(heard: Subscription[M], take: Callable[[Delivery[M]], None]) -> None:
    async for delivery in heard:
        take(delivery)


async def _follow(bus: Bus, fold: Fold, client: str) -> None:
    async with Follower(bus, client, datetime.now(UTC) - LOOK_BACK) as alerts:
        async for alert in alerts:
            fold.alert(alert)


async def _tick(bus: Bus, fold: Fold, context: Context, zone: ZoneInfo) -> None:
    while True:
        connected = bus.connected
        context.health.set("broker", ok=connected, why="" if connected else "not connected")
        fold.broker(connected=connected, now_s=time.time())
        fold.tick(time.monotonic(), f"{datetime.now(zone):%Y-%m-%d}")
        await asyncio.sleep(TICK_S)


async def tell(bus: Bus, feedback: Feedback) -> None:
    """Pass feedback on to the classifier.

    Raises:
        NotConnected: The broker did not take it.
    """
    try:
        async with asyncio.timeout(TELL_S):
            await bus.publish(topics.FEEDBACK, feedback)
    except TimeoutError:
        raise NotConnected("the broker did not answer") from None
