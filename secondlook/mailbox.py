"""The newest value per key, read in turn. No clock, no threads: one event loop."""

import asyncio
from collections import Counter
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Mailbox(Generic[K, V]):
    """Hold the newest value for each key; the reader takes keys in turn.

    A camera that sends faster than the detector reads overwrites its own frame,
    never another camera's.
    """

    def __init__(self) -> None:
        self._newest: dict[K, V] = {}
        # One reader is woken for each key that fills, not all of them; a key that was taken along
        # with another leaves its wake-up behind, which whoever is woken by it finds out.
        self._filled = asyncio.Semaphore(0)
        self.overwritten: Counter[K] = Counter()
        """Values that were replaced before anyone read them, per key."""

    def __len__(self) -> int:
        return len(self._newest)

    def put(self, key: K, value: V) -> V | None:
        """Make `value` the one to read for `key`; return the unread one it replaces."""
        replaced = self._newest.get(key)
        known = key in self._newest
        # An overwritten key keeps its place in the queue, or a fast camera would never be served.
        self._newest[key] = value
        if known:
            self.overwritten[key] += 1
        else:
            self._filled.release()
        return replaced

    async def take(self) -> tuple[K, V]:
        """Wait for a value; return the one whose key has waited longest."""
        await self._filled.acquire()
        while not self._newest:
            await self._filled.acquire()
        key = next(iter(self._newest))
        return key, self._newest.pop(key)

    async def take_some(self, limit: int) -> list[tuple[K, V]]:
        """Wait for a value; return it with those that wait behind it, at most `limit`."""
        first = await self.take()
        behind = list(self._newest)[: limit - 1]
        return [first, *((key, self._newest.pop(key)) for key in behind)]

    def discard(self, key: K) -> None:
        """Forget what waits under `key`."""
        self._newest.pop(key, None)
