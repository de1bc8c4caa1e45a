"""Sends what the spool keeps, in order per camera, again whenever there is reason to.

Each camera has a lane that walks through its spooled messages and waits for the broker's
acknowledgements. A new connection, or a classifier that came back, sets every lane back to
its beginning: the inbox knows what it has. Nothing overtakes in a lane, so the classifier
never hears of an end, or of how far the detector has looked, before the crops that go before.
"""

import asyncio
import itertools
import logging
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from detector_svc.spool import Entry, Spool
from secondlook import topics
from secondlook.backoff import Backoff
from secondlook.errors import NotConnected
from secondlook.messages import CropMessage, Seen
from secondlook.topics import Topic

log = logging.getLogger(__name__)

WINDOW = 32
"""Messages of a lane on their way at the same time."""
AGAIN_PER_S = 500
"""What was acknowledged once is sent again no faster than this: brokers drop bursts."""
GIVE_UP_AFTER = 8
"""Attempts in a row at a message that a connected broker does not take; then the next one's
turn comes. It stays in the spool and is tried again with the next connection."""


class Outlet(Protocol):
    """What the sender needs of the bus."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""

    def send(self, topic: Topic[CropMessage], message: CropMessage, **levels: str) -> bool:
        """Hand a message over without waiting."""

    async def publish(self, topic: Topic[CropMessage], message: CropMessage, **levels: str) -> None:
        """Send a message and wait for its acknowledgement."""


@dataclass(slots=True, eq=False)
class _Lane:
    """How far the messages of one camera have been sent."""

    camera: str
    cursor: int = 0
    """Sequence up to which everything is acknowledged in this round."""
    once: int = 0
    """Sequence up to which everything has been acknowledged at least once."""
    round: int = 0
    seen: Seen | None = None
    seen_after: int = 0
    """`seen` must not go before this sequence is acknowledged."""
    refusals: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    backoff: Backoff = field(default_factory=Backoff)


class Sender:
    """Moves messages from the spool to the broker. Use it within one event loop.

    Args:
        outlet: The bus.
        spool: What to send.
        pool: Where files are read.
    """

    def __init__(self, outlet: Outlet, spool: Spool, pool: Executor) -> None:
        self.counts: Counter[str] = Counter()
        """`sent` (acknowledged), `again` (of these, not for the first time), `refused`."""
        self._outlet = outlet
        self._spool = spool
        self._pool = pool
        self._lanes: dict[str, _Lane] = {}
        self._added = asyncio.Event()

    async def run(self) -> None:
        """Send for ever."""
        running: set[str] = set()
        for camera in self._spool.cameras():
            self.wake(camera)
        async with asyncio.TaskGroup() as group:
            while True:
                for camera in self._lanes.keys() - running:
                    running.add(camera)
                    group.create_task(
                        self._keep_sending(self._lanes[camera]), name=f"lane {camera}"
                    )
                self._added.clear()
                await self._added.wait()

    def wake(self, camera: str) -> None:
        """Tell that the spool has got another message of this camera."""
        self._lane(camera).woken.set()

    def say_seen(self, seen: Seen) -> None:
        """Send this once everything that is spooled of its camera now has been sent."""
        lane = self._lane(seen.camera)
        lane.seen, lane.seen_after = seen, self._spool.newest(seen.camera)
        lane.woken.set()

    def begin_again(self) -> None:
        """Send everything that is kept again, from the oldest on."""
        for camera in self._spool.cameras():
            self._lane(camera)
        for lane in self._lanes.values():
            lane.cursor = 0
            lane.round += 1
            lane.refusals = 0
            lane.backoff.reset()
            lane.woken.set()

    async def drained(self) -> None:
        """Wait until everything has been sent."""
        while any(self._spool.after(lane.camera, lane.cursor, 1) for lane in self._lanes.values()):  # noqa: ASYNC110 - called once, at the end
            await asyncio.sleep(0.01)

    def _lane(self, camera: str) -> _Lane:
        if camera not in self._lanes:
            self._lanes[camera] = _Lane(camera)
            self._added.set()
        return self._lanes[camera]

    async def _keep_sending(self, lane: _Lane) -> None:
        while True:
            lane.woken.clear()
            entries = self._spool.after(lane.camera, lane.cursor, WINDOW)
            if not entries or lane.cursor >= lane.seen_after:
                self._send_seen(lane)
            if not entries or not self._outlet.connected:
                # Without a broker there is nothing to do until `begin_again`.
                await lane.woken.wait()
            elif not await self._send(lane, entries):
                await self._pause(lane, lane.backoff.next_s())

    async def _send(self, lane: _Lane, entries: list[Entry]) -> bool:
        """Send a window of messages; return whether all of them are done with."""
        loop = asyncio.get_running_loop()
        round_, started_s = lane.round, loop.time()
        payloads = await loop.run_in_executor(self._pool, self._read, entries)
        # Each hands its message over before it waits for the first time, so the order is kept.
        taken = await asyncio.gather(*map(self._send_one, entries, payloads))
        if lane.round != round_:
            return True  # set back meanwhile: what was sent now is sent once more
        done = [
            entry for entry, _ in itertools.takewhile(_second, zip(entries, taken, strict=True))
        ]
        again = sum(entry.sequence <= lane.once for entry in done)
        self.counts["again"] += again
        if done:
            lane.refusals = 0
            lane.backoff.reset()
            lane.cursor = done[-1].sequence
            lane.once = max(lane.once, lane.cursor)
        if again:
            await asyncio.sleep(max(0.0, again / AGAIN_PER_S - (loop.time() - started_s)))
        if len(done) == len(entries):
            return True
        self._note_refusal(lane, entries[len(done)])
        return False

    def _read(self, entries: list[Entry]) -> list[bytes | None]:
        return [self._spool.read(entry) for entry in entries]

    async def _send_one(self, entry: Entry, payload: bytes | None) -> bool:
        if payload is None:
            return True  # gone or corrupt, and counted
        try:
            # It was encoded when it was spooled: topics pass bytes on as they are.
            await self._outlet.publish(topics.CROPS, payload, camera=entry.camera)  # type: ignore[arg-type]
        except NotConnected as error:
            log.debug("not sent: %s", error)
            return False
        self.counts["sent"] += 1
        return True

    def _note_refusal(self, lane: _Lane, entry: Entry) -> None:
        if not self._outlet.connected:
            return
        lane.refusals += 1
        if lane.refusals >= GIVE_UP_AFTER:
            self.counts["refused"] += 1
            log.error("the broker does not take a crop of %s; going on without it", lane.camera)
            lane.cursor, lane.refusals = entry.sequence, 0

    def _send_seen(self, lane: _Lane) -> None:
        if lane.seen is not None:
            self._outlet.send(topics.CROPS, lane.seen, camera=lane.camera)
            lane.seen = None

    @staticmethod
    async def _pause(lane: _Lane, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await lane.woken.wait()
        except TimeoutError:
            return


def _second(pair: tuple[Entry, bool]) -> bool:
    return pair[1]
