"""A subscriber that may be killed: a persistent session, and every alert on disk before its ack.

Run as a process: `python -m tests.chaos.subscriber BROKER FILE`, where the broker is a port of this
machine or a configuration that says how to enter it.
"""

import asyncio
import contextlib
import sqlite3
import sys
import time
from datetime import timedelta
from pathlib import Path

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from secondlook.config_file import load
from secondlook.messages import Alert, Blind, Replay, moment_of

ANSWER_S = 10.0
MARGIN = timedelta(seconds=5)
TABLES = """
CREATE TABLE IF NOT EXISTS alerts (
    id TEXT, sequence INTEGER, payload BLOB, first_ns INTEGER, seen INTEGER, live INTEGER,
    PRIMARY KEY (id, sequence)
);
CREATE TABLE IF NOT EXISTS blind (payload BLOB PRIMARY KEY);
CREATE TABLE IF NOT EXISTS beats (at_ns INTEGER);
CREATE TABLE IF NOT EXISTS replays (asked_ns INTEGER, ended_ns INTEGER);
"""


class Store:
    """What was heard, in SQLite; a commit reaches the disk before it returns."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(f"BEGIN;{TABLES}COMMIT;")
        if not self.asked_ns():
            self.replayed(time.time_ns())

    def alert(self, alert: Alert, *, live: bool) -> None:
        """Keep an alert, or count that it came again."""
        self._db.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, 1, ?)"
            " ON CONFLICT DO UPDATE SET seen = seen + 1",
            (alert.id, alert.sequence, alert.encode(), time.time_ns(), live),
        )

    def blind(self, blind: Blind) -> None:
        """Keep a blind record."""
        self._db.execute("INSERT OR IGNORE INTO blind VALUES (?)", (blind.encode(),))

    def replayed(self, asked_ns: int) -> None:
        """Note that everything before the asking has come."""
        self._db.execute("INSERT INTO replays VALUES (?, ?)", (asked_ns, time.time_ns()))

    def beat(self) -> None:
        """Note that we live and have a broker."""
        self._db.execute("INSERT INTO beats VALUES (?)", (time.time_ns(),))

    def asked_ns(self) -> int:
        """Return when the last answered replay was asked for."""
        return int(self._db.execute("SELECT max(asked_ns) FROM replays").fetchone()[0] or 0)


class Subscriber:
    """Follows section "What is promised": asks on every connect and when the classifier is back."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self._bus = bus
        self._store = store
        self._alerts = bus.subscribe(topics.ALERTS, manual_ack=True, limit=10_000)
        self._replayed = bus.subscribe(topics.REPLAYED, manual_ack=True, limit=10_000)
        self._blind = bus.subscribe(topics.BLIND, manual_ack=True)
        self._status = bus.subscribe(topics.STATUS, service="classifier")
        self._wanted, self._ended = asyncio.Event(), asyncio.Event()
        self._question = (0, "")
        bus.on_connect(self._ask_again)

    async def run(self) -> None:
        """Hear for ever."""
        async with asyncio.TaskGroup() as group:
            for work in (self._hear(), self._answers(), self._blinds(), self._statuses()):
                group.create_task(work)
            group.create_task(self._ask())
            group.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            if self._bus.connected:
                self._store.beat()
            await asyncio.sleep(0.5)

    async def _ask_again(self) -> None:
        self._wanted.set()

    async def _ask(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._ended.clear()
            # Each question has a name of its own: the session may keep the end of an earlier one.
            asked_ns = time.time_ns()
            self._question = (asked_ns, f"chaos-{asked_ns:x}")
            since = moment_of(self._store.asked_ns()) - MARGIN
            self._bus.send(topics.REPLAY, Replay(since=since, client=self._question[1], blind=True))
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._ended.wait()
            except TimeoutError:
                self._wanted.set()

    async def _hear(self) -> None:
        async for delivery in self._alerts:
            self._store.alert(delivery.message, live=True)
            delivery.ack()

    async def _answers(self) -> None:
        async for delivery in self._replayed:
            asked_ns, name = self._question
            if isinstance(delivery.message, Alert):
                self._store.alert(delivery.message, live=False)
            elif isinstance(delivery.message, Blind):
                self._store.blind(delivery.message)
            elif delivery.levels["client"] == name:
                self._store.replayed(asked_ns)
                self._ended.set()
            delivery.ack()

    async def _blinds(self) -> None:
        async for delivery in self._blind:
            self._store.blind(delivery.message)
            delivery.ack()

    async def _statuses(self) -> None:
        async for delivery in self._status:
            if delivery.message == "online":
                self._wanted.set()
                self._ended.set()


async def main(broker: str, path: Path) -> None:
    """Subscribe until killed."""
    mqtt = Mqtt(port=int(broker)) if broker.isdecimal() else load(Path(broker)).mqtt
    mqtt = mqtt.model_copy(update={"client_prefix": "chaos"})
    async with Bus(mqtt, service="subscriber", persistent=True) as bus:
        await Subscriber(bus, Store(path)).run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
