"""Several frames of a camera at Triton at once, and still one after the other afterwards."""

import asyncio
from typing import Self


class Turn:
    """A place in a queue, held while in its context."""

    def __init__(self, before: Self | None) -> None:
        self._before = before
        self._left = asyncio.Event()

    async def come(self) -> None:
        """Wait until everyone who joined earlier has left."""
        if self._before is not None:
            await self._before._left.wait()  # noqa: SLF001 - another of the same class
            self._before = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Who gives up leaves no earlier than its turn, or the next would overtake those before.
        await self.come()
        self._left.set()


class Turns:
    """One queue per key, in the order of joining."""

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}

    def join(self, key: str) -> Turn:
        """Take the next place."""
        turn = Turn(self._last.get(key))
        self._last[key] = turn
        return turn
