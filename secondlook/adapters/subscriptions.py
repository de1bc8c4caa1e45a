"""What a service hears: bounded queues of messages, each with its way to be acknowledged.

No transport; `bus.py` fills these.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from secondlook.topics import Topic

M = TypeVar("M")


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Delivery(Generic[M]):
    """One message as it came."""

    message: M
    levels: Mapping[str, str]
    """The placeholders of the topic, for instance `camera`."""
    retained: bool
    """The broker had kept it: it tells a state, not that something happens now."""
    received_ns: int
    """Unix time at which it came off the socket."""
    ack: Callable[[], None] = field(default=_nothing, repr=False, compare=False)
    """Tell the broker that it need not be sent again. Does nothing unless `manual_ack`."""

    def with_ack(self, ack: Callable[[], None]) -> "Delivery[M]":
        """Return this message with a way to acknowledge it."""
        return replace(self, ack=ack)


class Subscription(Generic[M]):
    """The messages of one topic, in the order they came; iterate over it."""

    def __init__(
        self, topic: Topic[M], levels: Mapping[str, str], *, limit: int, manual_ack: bool
    ) -> None:
        self.topic = topic
        self.levels = levels
        self.manual_ack = manual_ack
        self.dropped = 0
        """Messages that did not fit: the oldest makes room, but what the broker will send
        again (`manual_ack`) is refused instead."""
        self._limit = limit
        self._waiting: deque[Delivery[M]] = deque()
        self._filled = asyncio.Event()

    def wants(self, topic: Topic[M], levels: Mapping[str, str]) -> bool:
        """Tell whether a message with these levels belongs here."""
        return topic is self.topic and all(levels.get(k) == v for k, v in self.levels.items())

    def put(self, delivery: Delivery[M]) -> None:
        """Let a message wait here."""
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            if self.manual_ack:
                return
            self._waiting.popleft()
        self._waiting.append(delivery)
        self._filled.set()

    async def batch(self, limit: int) -> list[Delivery[M]]:
        """Wait for a message; return it with those that wait behind it, at most `limit`."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    async def __aiter__(self) -> AsyncIterator[Delivery[M]]:
        while True:
            yield (await self.batch(1))[0]

    def __len__(self) -> int:
        return len(self._waiting)
