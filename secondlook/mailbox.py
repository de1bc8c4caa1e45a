"""The newest value per key, read in turn. No clock, no threads: one event loop."""

import asyncio
from collections import Counter
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST_IN_A_ROW = 2
"""Preferred keys that overtake before the one that has waited longest has its turn."""


class Mailbox(Generic[K, V]):
    """Hold the newest value for each key; the reader takes keys in turn.

    A camera that sends faster than the detector reads overwrites its own frame,
    never another camera's. Preferred keys go first, but twice in a row at most while
    another waits: the others are served more slowly, and always.
    """

    def __init__(self) -> None:
        self._newest: dict[K, V] = {}
        # One reader is woken for each key that fills, not all of them; a key that was taken along
        # with another leaves its wake-up behind, which whoever is woken by it finds out.
        self._filled = asyncio.Semaphore(0)
        self._preferred: set[K] = set()
        self._overtook = 0
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

    def prefer(self, key: K, *, preferred: bool) -> None:
        """Serve this key first, or as all others again."""
        if preferred:
            self._preferred.add(key)
        else:
            self._preferred.discard(key)

    async def take(self) -> tuple[K, V]:
        """Wait for a value; return the one whose key's turn it is."""
        await self._filled.acquire()
        while not self._newest:
            await self._filled.acquire()
        return self._take_next()

    async def take_some(self, limit: int) -> list[tuple[K, V]]:
        """Wait for a value; return it with those that wait behind it, at most `limit`."""
        taken = [await self.take()]
        while self._newest and len(taken) < limit:
            taken.append(self._take_next())
        return taken

    def _take_next(self) -> tuple[K, V]:
        # Keys stand in the order in which they began to wait.
        longest = next(iter(self._newest))
        first = next((key for key in self._newest if key in self._preferred), longest)
        key = longest if self._overtook == MOST_IN_A_ROW else first
        self._overtook = self._overtook + 1 if key != longest else 0
        return key, self._newest.pop(key)

    def discard(self, key: K) -> None:
        """Forget what waits under `key`."""
        self._newest.pop(key, None)
