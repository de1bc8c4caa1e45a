"""The outbox: what must reach the broker, on disk until it has, in order. Decides nothing.

Alerts stay after their delivery for those who ask on `replay`, because a broker's
acknowledgement only says that it took them.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from secondlook import topics
from secondlook.adapters.database import Connection, Database
from secondlook.backoff import Backoff
from secondlook.errors import DatabaseError, NotConnected
from secondlook.messages import Alert, Replay, ReplayEnd
from secondlook.topics import Topic

M = TypeVar("M")
log = logging.getLogger(__name__)

SECOND = 1_000_000_000
BATCH = 100
GIVE_UP_AFTER = 10
"""Refusals by a connected broker after which what is no alert is let go."""
_BY_PATTERN = {topic.pattern: topic for topic in topics.ALL}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way out."""

    topic: str
    """Its pattern."""
    levels: str
    payload: bytes
    alert_id: str | None = None


def outgoing(topic: Topic[M], message: M, **levels: str) -> Outgoing:
    """Make a message ready for the outbox."""
    alert_id = message.id if topic is topics.ALERTS and isinstance(message, Alert) else None
    payload = topic.encode(message)
    return Outgoing(topic.pattern, json.dumps(levels, sort_keys=True), payload, alert_id)


class Outlet(Protocol):
    """What the outbox needs of the bus."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker."""

    async def publish(self, topic: Topic[Any], message: Any, **levels: str) -> None:  # noqa: ANN401 - any message
        """Send a message and wait for its acknowledgement."""


Row = tuple[int, str, str, bytes]
"""seq, topic, levels, payload."""


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
        """`published`, `given_up`, `replayed`, `republished`."""
        self.depth = 0
        """Messages that wait for their acknowledgement."""
        self.oldest_ns: int | None = None
        self._database = database
        self._outlet = outlet
        self._now_ns = now_ns
        self._replay_ns = round(replay_s * SECOND)
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
                await self._woken.wait()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _drain(self) -> bool:
        """Publish everything that waits; return True once nothing does."""
        while True:
            rows, self.depth, self.oldest_ns = await self._database.read(_undelivered)
            if not rows:
                return True
            delivered: list[Row] = []
            try:
                for row in rows:
                    await self._deliver(row)
                    delivered.append(row)
            finally:
                # Also when the connection breaks: what was acknowledged need not go again.
                if delivered:
                    await self._mark(delivered)

    async def _mark(self, delivered: Sequence[Row]) -> None:
        now_ns = self._now_ns()
        await self._database.write(lambda db: _mark_delivered(db, delivered, now_ns))
        self.depth = max(0, self.depth - len(delivered))

    async def _deliver(self, row: Row) -> None:
        """Publish one message, again and again as long as the broker is there."""
        _, pattern, levels, payload = row
        topic = _BY_PATTERN[pattern]
        backoff = Backoff()
        refusals = 0
        while True:
            try:
                await self._outlet.publish(topic, payload, **json.loads(levels))
            except NotConnected as error:
                if not self._outlet.connected:
                    raise
                refusals += 1
                if refusals >= GIVE_UP_AFTER and topic is not topics.ALERTS:
                    self.counts["given_up"] += 1
                    log.warning("the broker refuses %s; going on without: %s", pattern, error)
                    return
                log.warning("the broker did not take %s: %s", pattern, error)
                await asyncio.sleep(backoff.next_s())
            else:
                self.counts["published"] += 1
                self._fresh.add((pattern, levels))
                return

    async def _republish(self) -> None:
        """Say again what the broker should have retained; the newest of each topic."""
        wanted = self._connects
        rows = await self._database.read(
            lambda db: db.execute("SELECT 0, topic, levels, payload FROM retained").fetchall()
        )
        for row in rows:
            if (row[1], row[2]) not in self._fresh:
                await self._deliver(row)
                self.counts["republished"] += 1
        self._greeted = wanted

    async def replay(self, request: Replay) -> None:
        """Send the alerts put in since then to the one who asks, in order, then the end.

        Raises:
            NotConnected: The broker went away; the client asks again.
            DatabaseError: They cannot be read.
        """
        since_ns = request.since_ns
        kept_ns = self._now_ns() - self._replay_ns
        last = 0
        while True:
            rows = await self._database.read(
                lambda db, last=last: db.execute(  # type: ignore[misc]
                    "SELECT seq, payload FROM outbox WHERE alert_id IS NOT NULL AND seq > ?"
                    " AND put_ns >= ? AND (delivered_ns IS NULL OR delivered_ns >= ?)"
                    " ORDER BY seq LIMIT ?",
                    (last, since_ns, kept_ns, BATCH),
                ).fetchall()
            )
            for last, payload in rows:  # noqa: B007 - carried on to the next page
                await self._outlet.publish(topics.REPLAYED, payload, client=request.client)
                self.counts["replayed"] += 1
            if len(rows) < BATCH:
                break
        await self._outlet.publish(topics.REPLAYED, ReplayEnd(), client=request.client)


def put(db: Connection, messages: Sequence[Outgoing], now_ns: int) -> None:
    """Store messages behind those that wait; part of the caller's transaction."""
    db.executemany(
        "INSERT INTO outbox (topic, levels, payload, put_ns, alert_id) VALUES (?, ?, ?, ?, ?)",
        [(m.topic, m.levels, m.payload, now_ns, m.alert_id) for m in messages],
    )


def stale_states(db: Connection, known: Collection[tuple[str, str]]) -> list[Outgoing]:
    """Return `OFF` for states that were said of cameras and labels that are configured no more.

    Args:
        db: The database.
        known: Camera and label of every state that is said from now on.
    """
    rows = db.execute(
        "SELECT levels FROM retained WHERE topic = ? AND payload <> ?",
        (topics.STATE.pattern, b"OFF"),
    )
    found = [json.loads(levels) for (levels,) in rows]
    return [
        outgoing(topics.STATE, "OFF", **levels)
        for levels in found
        if (levels["camera"], levels["label"]) not in known
    ]


def _undelivered(db: Connection) -> tuple[list[Row], int, int | None]:
    rows = db.execute(
        "SELECT seq, topic, levels, payload FROM outbox WHERE delivered_ns IS NULL"
        " ORDER BY seq LIMIT ?",
        (BATCH,),
    ).fetchall()
    depth, oldest_ns = db.execute(
        "SELECT count(*), min(put_ns) FROM outbox WHERE delivered_ns IS NULL"
    ).fetchone()
    return rows, depth, oldest_ns


def _mark_delivered(db: Connection, rows: Sequence[Row], now_ns: int) -> None:
    for seq, pattern, levels, payload in rows:
        if _BY_PATTERN[pattern].retain:
            db.execute(
                "INSERT INTO retained (topic, levels, payload) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET payload = excluded.payload",
                (pattern, levels, payload),
            )
        db.execute("DELETE FROM outbox WHERE seq = ? AND alert_id IS NULL", (seq,))
        db.execute("UPDATE outbox SET delivered_ns = ? WHERE seq = ?", (now_ns, seq))


def purge(db: Connection, now_ns: int, *, replay_ns: int, keep_ns: int, most_bytes: int) -> None:
    """Forget delivered alerts older than `keep_ns`; the oldest ones when there are too many.

    Args:
        db: In a transaction.
        now_ns: Unix time.
        replay_ns: Nothing is forgotten that was delivered within this time.
        keep_ns: How long delivered alerts are kept.
        most_bytes: Of the whole database.
    """
    db.execute(
        "DELETE FROM outbox WHERE alert_id IS NOT NULL AND delivered_ns < ?",
        (now_ns - max(keep_ns, replay_ns),),
    )
    [pages] = db.execute("PRAGMA page_count").fetchone()
    [free] = db.execute("PRAGMA freelist_count").fetchone()
    [size] = db.execute("PRAGMA page_size").fetchone()
    if (pages - free) * size > most_bytes:
        db.execute(
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE alert_id IS NOT NULL"
            " AND delivered_ns < ? ORDER BY seq LIMIT 1000)",
            (now_ns - replay_ns,),
        )
