"""A service's signs of life, and its ear for those of the others. `beats` decides."""

import asyncio
import logging

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Subscription
from secondlook.beats import EVERY_S, WATCHED, Beats

log = logging.getLogger(__name__)


async def beat_and_watch(bus: Bus, service: str) -> None:
    """Give beats for ever, say `offline` for who stops, and object when it is said of us.

    Must have ended when the service says `offline` of itself.

    Args:
        bus: The service's own.
        service: Its name.
    """
    beats = Beats(service, WATCHED.get(service, ()))
    statuses = bus.subscribe(topics.STATUS)
    async with asyncio.TaskGroup() as group:
        group.create_task(_give(bus, service), name="beats")
        group.create_task(_hear_statuses(bus, service, statuses, beats), name="own status")
        if service in WATCHED:
            heard = bus.subscribe(topics.BEATS)
            group.create_task(_watch(bus, heard, beats), name="others' beats")


async def _give(bus: Bus, service: str) -> None:
    while True:
        if bus.connected:
            bus.send(topics.BEATS, "alive", service=service)
        await asyncio.sleep(EVERY_S)


async def _watch(bus: Bus, heard: Subscription[topics.Alive], beats: Beats) -> None:
    loop = asyncio.get_running_loop()
    async for delivery in heard:
        for silent in beats.heard(delivery.levels["service"], loop.time()):
            log.warning("no sign of life of the %s: saying offline for it", silent)
            bus.send(topics.STATUS, "offline", service=silent)


async def _hear_statuses(
    bus: Bus, service: str, statuses: Subscription[topics.OnlineOffline], beats: Beats
) -> None:
    async for delivery in statuses:
        said = delivery.levels["service"]
        if delivery.message == "online":
            continue
        beats.gone(said)
        # What is retained is from before we came: the greeting of the bus answers that.
        if said == service and not delivery.retained:
            log.warning("it was said that we are offline, but we are not")
            bus.send(topics.STATUS, "online", service=service)
