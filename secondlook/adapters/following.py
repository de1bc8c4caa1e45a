"""A subscriber that gets every alert once, whatever dies in between: how it is meant."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Self

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.messages import Alert, Replay, ReplayEnd

ANSWER_S = 10.0
"""Without an end of the replay by then, ask again."""
MARGIN = timedelta(seconds=5)
"""Ask for a little more than was missed: clocks differ, and doubles are dropped anyway."""
REMEMBERED = 100_000


class Follower:
    """Enter it, then iterate over it for the alerts.

    Args:
        bus: Connected or not yet.
        client: A name that no other subscriber has; the replay comes on `replayed/<client>`.
        since: The moment from which on alerts are wanted.
    """

    def __init__(self, bus: Bus, client: str, since: datetime) -> None:
        self._bus = bus
        self._client = client
        self._since = since
        self._live = bus.subscribe(topics.ALERTS)
        self._replayed = bus.subscribe(topics.REPLAYED, client=client)
        # Of every service: who follows may hear the others too, and a topic is heard in one way.
        self._status = bus.subscribe(topics.STATUS)
        self._alerts: asyncio.Queue[Alert] = asyncio.Queue(10_000)
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._seen: set[tuple[str, int]] = set()
        self._order: deque[tuple[str, int]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        bus.on_connect(self._ask_again)

    async def __aenter__(self) -> Self:
        work = (self._hear_live(), self._hear_replay(), self._hear_status(), self._ask())
        self._workers = [asyncio.create_task(each) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Alert]:
        while True:
            yield await self._alerts.get()

    async def _ask_again(self) -> None:
        self._wanted.set()

    async def _ask(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._ended.clear()
            self._bus.send(topics.REPLAY, Replay(since=self._since - MARGIN, client=self._client))
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._ended.wait()
            except TimeoutError:
                self._wanted.set()

    async def _hear_live(self) -> None:
        async for delivery in self._live:
            await self._take(delivery.message)

    async def _hear_replay(self) -> None:
        async for delivery in self._replayed:
            if isinstance(delivery.message, ReplayEnd):
                self._ended.set()
            elif isinstance(delivery.message, Alert):
                await self._take(delivery.message)

    async def _hear_status(self) -> None:
        async for delivery in self._status:
            if delivery.message == "online" and delivery.levels["service"] == "classifier":
                # It died before it could answer what was asked: no need to wait any longer.
                self._wanted.set()
                self._ended.set()

    async def _take(self, alert: Alert) -> None:
        key = (alert.id, alert.sequence)
        if key in self._seen:
            return
        self._seen.add(key)
        self._order.append(key)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        await self._alerts.put(alert)
