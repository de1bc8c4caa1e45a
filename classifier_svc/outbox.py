"""The outbox: what must reach the broker, on disk until it has, in order. Decides nothing.

Alerts stay after their delivery for those who ask on `replay`, because a broker's
acknowledgement only says that it took them.
"""

import asyncio
import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from classifier_svc import outbox_rows
from classifier_svc.outbox_rows import BATCH, BY_PATTERN, Row
from secondlook import topics
from secondlook.adapters.database import Database
from secondlook.backoff import Backoff
from secondlook.errors import DatabaseError, NotConnected
from secondlook.messages import Replay, ReplayEnd
from secondlook.topics import Topic
from secondlook.wall import Wall

M = TypeVar("M")
log = logging.getLogger(__name__)

SECOND = 1_000_000_000
GIVE_UP_AFTER = 10
"""Refusals by a connected broker after which what is no alert is let go, and an alert set aside
with the rest of its episode."""
AGAIN_AFTER_S = 60.0
"""What was set aside is tried again so often, and after every connect."""


class Outlet(Protocol):
    """What the outbox needs of the bus."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""

    async def publish(self, topic: Topic[Any], message: Any, **levels: str) -> None:  # noqa: ANN401 - any message
        """Send a message and wait for its acknowledgement."""


class Outbox:
    """Publishes what `put` has stored, one after another, until each is acknowledged.

    Args:
        database: Open.
        outlet: The bus.
        now_ns: Unix time.
        replay_s: Delivered alerts are sent again to those who ask, for this long.
    """

    def __init__(
        self, database: Database, outlet: Outlet, now_ns: Callable[[], int], replay_s: float
    ) -> None:
        self.counts: Counter[str] = Counter()
        """`published`, `given_up`, `set_aside` (alerts that the broker refuses: `replay` still
        answers them), `replayed`, `republished`."""
        self.depth = 0
        """Messages that wait for their acknowledgement."""
        self.oldest_ns: int | None = None
        self.refused = 0
        """Alerts that the broker refuses, among them."""
        self._database = database
        self._outlet = outlet
        self._now_ns = now_ns
        self._replay_ns = round(replay_s * SECOND)
        self._wall = Wall()
        self._refused: set[str] = set()
        """The levels of alerts, and the topics of the rest, that were refused: the next of them is
        tried once."""
        self._again_at_s = 0.0
        self._woken = asyncio.Event()
        self._connects = 0
        self._greeted = 0
        self._fresh: set[tuple[str, str]] = set()
        """What has been delivered on this connection: topic and levels."""

    def wake(self) -> None:
        """Tell that something has been put in."""
        self._woken.set()

    async def connected(self) -> None:
        """Tell that there is a broker (again): it may have lost what it had retained."""
        self._connects += 1
        self._fresh.clear()
        self._again_at_s = 0.0
        self._woken.set()

    async def run(self) -> None:
        """Publish for ever."""
        backoff = Backoff()
        while True:
            self._woken.clear()
            try:
                emptied = await self._drain()
                if emptied and self._greeted != self._connects:
                    await self._republish()
            except NotConnected as error:
                log.debug("the outbox waits: %s", error)
                await self._pause(backoff.next_s())
            except DatabaseError as error:
                log.warning("the outbox cannot be read or written: %s", error)
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()
                await self._pause(AGAIN_AFTER_S if self.refused else None)

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _drain(self) -> bool:
        """Publish everything that waits; return True once nothing does."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._again_at_s:
            await self._database.write(outbox_rows.bring_back)
            self._again_at_s = now_s + AGAIN_AFTER_S
        while True:
            rows, self.depth, self.oldest_ns, self.refused = await self._database.read(
                outbox_rows.undelivered
            )
            if not rows:
                return True
            delivered: list[Row] = []
            try:
                await self._publish(rows, delivered)
            finally:
                # Also when the connection breaks: what was acknowledged need not go again.
                if delivered:
                    await self._mark(delivered)

    async def _publish(self, rows: Sequence[Row], delivered: list[Row]) -> None:
        """Publish messages in their order; add to `delivered` what needs no further attempt."""
        aside: set[str] = set()
        for group in outbox_rows.together(rows):
            going = [row for row in group if row.alert_id is None or row.alert_id not in aside]
            # Each is handed over before it waits for the first time, so the order is kept.
            taken = await asyncio.gather(*map(self._deliver, going), return_exceptions=True)
            for row, outcome in zip(going, taken, strict=True):
                if isinstance(outcome, BaseException):
                    # What comes after it goes again too, for the order's sake.
                    raise outcome
                if outcome:
                    delivered.append(row)
                elif row.alert_id is not None:
                    aside.add(row.alert_id)
                    await self._set_aside(row)

    async def _set_aside(self, row: Row) -> None:
        now_ns = self._now_ns()
        await self._database.write(lambda db: outbox_rows.set_aside(db, row.seq, now_ns))
        if row.levels not in self._refused:
            log.error(
                "the broker refuses alerts %s: they are set aside, only `replay` answers them; let "
                "the classifier write there (secondlook broker-config)",
                row.levels,
            )
        self._refused.add(row.levels)
        self.counts["set_aside"] += 1

    async def _mark(self, delivered: Sequence[Row]) -> None:
        now_ns = self._time_ns()
        await self._database.write(lambda db: outbox_rows.mark_delivered(db, delivered, now_ns))
        self.depth = max(0, self.depth - len(delivered))

    def _time_ns(self) -> int:
        now_ns = self._now_ns()
        self._wall.tell(now_ns, time.monotonic_ns())
        return now_ns

    async def _deliver(self, row: Row) -> bool:
        """Publish one message, again and again; return False for an alert that is refused."""
        topic = BY_PATTERN[row.topic]
        backoff = Backoff(longest_s=1.0)
        key = row.topic if row.alert_id is None else row.levels
        patience = 1 if key in self._refused else GIVE_UP_AFTER
        for refusals in itertools.count(1):
            try:
                await self._outlet.publish(topic, row.payload, **json.loads(row.levels))
            except NotConnected as error:
                if not self._outlet.connected:
                    raise
                if refusals >= patience and row.alert_id is not None:
                    return False
                if refusals >= patience:
                    self.counts["given_up"] += 1
                    if key not in self._refused:
                        log.warning("the broker refuses %s; going on without: %s", row.topic, error)
                    self._refused.add(key)
                    return True
                log.warning("the broker did not take %s: %s", row.topic, error)
                await asyncio.sleep(backoff.next_s())
            else:
                break
        self._refused.discard(key)
        self.counts["published"] += 1
        self._fresh.add((row.topic, row.levels))
        return True

    async def _republish(self) -> None:
        """Say again what the broker should have retained; the newest of each topic."""
        wanted = self._connects
        rows = await self._database.read(
            lambda db: db.execute("SELECT 0, topic, levels, payload FROM retained").fetchall()
        )
        for row in rows:
            if (row[1], row[2]) not in self._fresh:
                await self._deliver(Row(*row))
                self.counts["republished"] += 1
        self._greeted = wanted

    async def replay(self, request: Replay) -> None:
        """Send what was put in since then to the one who asks, in order, then the end.

        Raises:
            NotConnected: The broker went away; the client asks again.
            DatabaseError: They cannot be read.
        """
        kept_ns = self.before_ns(self._replay_ns)
        last = 0
        while True:
            rows = await self._database.read(
                lambda db, last=last: outbox_rows.since(  # type: ignore[misc]
                    db, request, last, delivered_since_ns=kept_ns
                )
            )
            for last, payload in rows:  # noqa: B007 - carried on to the next page
                await self._outlet.publish(topics.REPLAYED, payload, client=request.client)
                self.counts["replayed"] += 1
            if len(rows) < BATCH:
                break
        await self._outlet.publish(topics.REPLAYED, ReplayEnd(end=True), client=request.client)

    def before_ns(self, age_ns: int) -> int:
        """Return the Unix time as it was so long ago; no step of the clock makes that less."""
        return self._wall.before_ns(age_ns, self._time_ns())
