"""The inbox: crops and ends of tracks on disk before they are acknowledged. Judges nothing."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifier_svc.waiting import Entry, Waiting
from secondlook.adapters.database import Connection, Database
from secondlook.errors import Unreadable
from secondlook.messages import Crop, Seen, TrackEnded
from secondlook.wall import Wall

SECOND = 1_000_000_000
PICTURES_KEPT_NS = 30 * SECOND
"""A judged crop may still be shown: an alert shows the best of several looks."""
FRESH = 16
"""Crops that are kept as they came, a few megabytes: mostly they are judged at once."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message and when it came."""

    message: Crop | TrackEnded | Seen
    received_ns: int


class Inbox:
    """What waits for a verdict, in memory by its keys and on disk with its pixels.

    Args:
        database: Open.
        hold_s: A crop older than this is not taken, and not judged later.
        now_ns: Unix time.
        steady_s: A clock that only goes forward: setting the other makes no crop too old.
    """

    def __init__(
        self,
        database: Database,
        hold_s: float,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waiting = Waiting()
        self.filled = asyncio.Event()
        """Set whenever something has come in."""
        self.counts: Counter[str] = Counter()
        """`again`: messages that were known; `too_old`: crops older than `hold_s` on arrival."""
        self._database = database
        self._hold_ns = round(hold_s * SECOND)
        self._now_ns = now_ns
        self._steady_s = steady_s
        self._wall = Wall()
        self._seen_numbers = itertools.count()
        self._fresh: dict[str, Crop] = {}

    async def load(self) -> int:
        """Take up what waited when the last process ended; return how much that is.

        Raises:
            DatabaseError: It cannot be read.
        """
        rows = await self._database.read(
            lambda db: db.execute(
                "SELECT seq, key, kind, camera, track, captured_ns, received_ns,"
                " CASE kind WHEN 'ended' THEN payload END, coalesce(length(payload), 0)"
                " FROM inbox WHERE done_ns IS NULL ORDER BY seq"
            ).fetchall()
        )
        now_ns = self._now_ns()
        for seq, key, kind, camera, track, captured_ns, received_ns, payload, size in rows:
            marker = TrackEnded.decode(payload) if kind == "ended" else None
            until_s = self._until_s(captured_ns, now_ns)
            self.waiting.add(
                Entry(
                    key,
                    kind,
                    camera,
                    track,
                    captured_ns,
                    received_ns,
                    seq,
                    marker,
                    size=size,
                    until_s=until_s,
                )
            )
        self.filled.set()
        return len(rows)

    async def put(self, received: Sequence[Received], now_ns: int) -> None:
        """Store messages; when this returns they may be acknowledged.

        `Seen` is not stored: another one follows within a second.

        Raises:
            DatabaseError: Nothing was stored; try again.
        """
        self._wall.tell(now_ns, round(self._steady_s() * SECOND))
        fresh = [each for each in received if not self._is_too_old(each.message, now_ns)]
        stored = [each for each in fresh if not isinstance(each.message, Seen)]
        seqs: dict[str, int] = {}
        if stored:
            seqs = await self._database.write(lambda db: _insert(db, stored))
        self.counts["too_old"] += len(received) - len(fresh)
        self.counts["again"] += len(stored) - len(seqs)
        for each in fresh:
            entry = self._entry(each, seqs, now_ns)
            if entry is not None:
                self.waiting.add(entry)
                self._keep_fresh(each.message)
        self.filled.set()

    def _keep_fresh(self, message: Crop | TrackEnded | Seen) -> None:
        if isinstance(message, Crop):
            self._fresh[message.id] = message
            if len(self._fresh) > FRESH:
                del self._fresh[next(iter(self._fresh))]

    def _is_too_old(self, message: Crop | TrackEnded | Seen, now_ns: int) -> bool:
        if not isinstance(message, Crop):
            return False
        return self._wall.age_ns(message.frame.captured_ns, now_ns) > self._hold_ns

    def _until_s(self, captured_ns: int, now_ns: int) -> float:
        left_ns = self._hold_ns - self._wall.age_ns(captured_ns, now_ns)
        return self._steady_s() + left_ns / SECOND

    def overdue(self) -> list[Entry]:
        """Return the waiting crops that are older than `hold_s` by now."""
        return self.waiting.overdue(self._steady_s())

    async def purge(self) -> None:
        """Forget what was judged long ago.

        Raises:
            DatabaseError: It could not be written.
        """
        now_ns = self._now_ns()
        self._wall.tell(now_ns, round(self._steady_s() * SECOND))
        pictures_ns = self._wall.before_ns(PICTURES_KEPT_NS, now_ns)
        # The detector sends nothing again that is older than hold_s; twice that is safe.
        keys_ns = self._wall.before_ns(2 * self._hold_ns, now_ns)
        await self._database.write(lambda db: purge(db, pictures_ns, keys_ns))

    def _entry(self, each: Received, seqs: dict[str, int], now_ns: int) -> Entry | None:
        message = each.message
        if isinstance(message, Seen):
            key = f"seen.{next(self._seen_numbers)}"
            return Entry(
                key, "seen", message.camera, "", message.captured_ns, each.received_ns, 0, message
            )
        key = key_of(message)
        # A message that comes twice in one batch has one row and is one entry.
        seq = seqs.pop(key, None)
        if seq is None:
            return None
        return Entry(
            key,
            "crop" if isinstance(message, Crop) else "ended",
            message.camera,
            message.track,
            captured_of(message),
            each.received_ns,
            seq,
            message if isinstance(message, TrackEnded) else None,
            # The picture is written as base64.
            size=len(message.jpeg) * 4 // 3 if isinstance(message, Crop) else 0,
            until_s=self._until_s(captured_of(message), now_ns),
        )

    async def crops(self, entries: Sequence[Entry]) -> dict[str, Crop]:
        """Return the stored crops of entries by key; one that cannot be read is missing.

        Raises:
            DatabaseError: They cannot be read now.
        """
        fresh = {entry.key: self._fresh.pop(entry.key, None) for entry in entries}
        found = {key: crop for key, crop in fresh.items() if crop is not None}
        keys = [key for key, crop in fresh.items() if crop is None]
        if not keys:
            return found
        payloads = await self._database.read(lambda db: [picture_row(db, key) for key in keys])
        for key, payload in zip(keys, payloads, strict=True):
            try:
                if payload is not None:
                    found[key] = Crop.decode(payload)
            except Unreadable:
                continue
        return found


def key_of(message: Crop | TrackEnded) -> str:
    """Return what makes a message the same when it is sent again."""
    return message.id if isinstance(message, Crop) else f"{message.track}.ended"


def captured_of(message: Crop | TrackEnded) -> int:
    """Return the Unix time that a message is about."""
    return message.frame.captured_ns if isinstance(message, Crop) else message.captured_ns


def _insert(db: Connection, stored: Sequence[Received]) -> dict[str, int]:
    """Store what is not known yet; return the rows by key."""
    seqs = {}
    for each in stored:
        message = each.message
        if isinstance(message, Seen):
            continue
        done = db.execute(
            "INSERT OR IGNORE INTO inbox"
            " (key, kind, camera, track, captured_ns, received_ns, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key_of(message),
                "crop" if isinstance(message, Crop) else "ended",
                message.camera,
                message.track,
                captured_of(message),
                each.received_ns,
                message.encode(),
            ),
        )
        if done.rowcount:
            seqs[key_of(message)] = int(done.lastrowid or 0)
    return seqs


def picture_row(db: Connection, key: str) -> bytes | None:
    """Return a stored message by its key."""
    row = db.execute("SELECT payload FROM inbox WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def mark_done(db: Connection, entries: Sequence[Entry], now_ns: int) -> None:
    """Note that entries have had their effect."""
    db.executemany(
        "UPDATE inbox SET done_ns = ? WHERE seq = ?",
        [(now_ns, entry.seq) for entry in entries if entry.seq],
    )


def purge(db: Connection, pictures_before_ns: int, keys_before_ns: int) -> None:
    """Forget pictures that nobody needs, and keys that are too old to be sent again.

    Args:
        db: In a transaction.
        pictures_before_ns: Pictures judged before this Unix time go.
        keys_before_ns: What was captured and judged before this is forgotten.
    """
    db.execute(
        "UPDATE inbox SET payload = NULL WHERE payload IS NOT NULL AND done_ns < ?",
        (pictures_before_ns,),
    )
    db.execute(
        "DELETE FROM inbox WHERE captured_ns < ? AND done_ns < ?",
        (keys_before_ns, keys_before_ns),
    )
