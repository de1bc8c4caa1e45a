"""The rows of the outbox in the database. Publishes nothing."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from secondlook import topics
from secondlook.adapters.database import Connection
from secondlook.messages import Alert, Replay
from secondlook.topics import Topic

M = TypeVar("M")
BATCH = 100
TOGETHER = 16
"""Fewer than brokers take before they acknowledge one (mosquitto: 20)."""
BY_PATTERN = {topic.pattern: topic for topic in topics.ALL}


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


class Row(NamedTuple):
    """A message that waits in the outbox."""

    seq: int
    topic: str
    levels: str
    payload: bytes
    alert_id: str | None = None


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


def stale_retained(
    db: Connection, cameras: Collection[str], kinds: Collection[str]
) -> list[Outgoing]:
    """Return what takes retained messages away that nobody renews any more.

    Args:
        db: The database.
        cameras: Those that are configured. States of others stay: they are `OFF`.
        kinds: The kinds of pictures that are published beside snapshots.
    """
    rows = db.execute("SELECT topic, levels FROM retained").fetchall()
    stale = []
    for topic, text in rows:
        levels = json.loads(text)
        departed = levels.get("camera", "") not in {"", *cameras}
        unwanted = topic == topics.PICTURES.pattern and levels["kind"] not in kinds
        if unwanted or (departed and topic != topics.STATE.pattern):
            stale.append(Outgoing(topic, text, b""))
    return stale


def undelivered(db: Connection) -> tuple[list[Row], int, int | None, int]:
    """Return what is to be published next, how much waits, since when, and how much is refused.

    An episode of which an alert has been refused waits as a whole: its order stays.
    """
    rows = db.execute(
        "SELECT seq, topic, levels, payload, alert_id FROM outbox AS mine"
        " WHERE delivered_ns IS NULL AND refused_ns IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM outbox AS other WHERE other.refused_ns IS NOT NULL"
        " AND other.alert_id = mine.alert_id) ORDER BY seq LIMIT ?",
        (BATCH,),
    ).fetchall()
    depth, oldest_ns, refused = db.execute(
        "SELECT count(*), min(put_ns), count(refused_ns) FROM outbox WHERE delivered_ns IS NULL"
    ).fetchone()
    return [Row(*row) for row in rows], depth, oldest_ns, refused


def together(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Split messages into groups that may be under way at the same time.

    An alert ends a group: its snapshot is said no later, and what follows from it no sooner. No
    group holds two messages for one topic: one that is tried again would come last.
    """
    group: dict[tuple[str, str], Row] = {}
    for row in rows:
        if len(group) >= TOGETHER or (row.topic, row.levels) in group:
            yield [*group.values()]
            group.clear()
        group[row.topic, row.levels] = row
        if row.alert_id is not None:
            yield [*group.values()]
            group.clear()
    if group:
        yield [*group.values()]


def set_aside(db: Connection, seq: int, now_ns: int) -> None:
    """Note that the broker refuses a message."""
    db.execute("UPDATE outbox SET refused_ns = ? WHERE seq = ?", (now_ns, seq))


def bring_back(db: Connection) -> None:
    """Let what was refused be tried again."""
    db.execute("UPDATE outbox SET refused_ns = NULL WHERE refused_ns IS NOT NULL")


def mark_delivered(db: Connection, rows: Sequence[Row], now_ns: int) -> None:
    """Note that the broker has acknowledged messages."""
    for seq, pattern, levels, payload, alert_id in rows:
        if BY_PATTERN[pattern].retain and not payload:
            db.execute("DELETE FROM retained WHERE topic = ? AND levels = ?", (pattern, levels))
        elif BY_PATTERN[pattern].retain:
            db.execute(
                "INSERT INTO retained (topic, levels, payload) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET payload = excluded.payload",
                (pattern, levels, payload),
            )
        # Alerts and blind times stay for those who ask on `replay`.
        if alert_id is None and pattern != topics.BLIND.pattern:
            db.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
        db.execute("UPDATE outbox SET delivered_ns = ? WHERE seq = ?", (now_ns, seq))


def since(
    db: Connection, request: Replay, after: int, *, delivered_since_ns: int
) -> list[tuple[int, bytes]]:
    """Return what `replay` asks for, in order: number and payload, a batch at a time.

    Args:
        db: To read from.
        request: What is asked for.
        after: The number of the last one before.
        delivered_since_ns: What was delivered before this Unix time is not sent again.
    """
    blind = topics.BLIND.pattern if request.blind else None
    return db.execute(
        "SELECT seq, payload FROM outbox WHERE (alert_id IS NOT NULL OR topic = ?) AND seq > ?"
        " AND put_ns >= ? AND (delivered_ns IS NULL OR delivered_ns >= ?) ORDER BY seq LIMIT ?",
        (blind, after, request.since_ns, delivered_since_ns, BATCH),
    ).fetchall()


def purge(db: Connection, *, kept_since_ns: int, replayed_since_ns: int, most_bytes: int) -> None:
    """Forget what was delivered long ago.

    When the database is too large, the oldest pictures go; once there are none, the oldest alerts.

    Args:
        db: In a transaction.
        kept_since_ns: Alerts that were delivered before this Unix time are forgotten.
        replayed_since_ns: Nothing is forgotten that was delivered after this, whatever its size.
        most_bytes: Of the whole database.
    """
    oldest_ns = min(kept_since_ns, replayed_since_ns)
    db.execute("DELETE FROM outbox WHERE alert_id IS NOT NULL AND delivered_ns < ?", (oldest_ns,))
    db.execute(
        "DELETE FROM outbox WHERE topic = ? AND delivered_ns < ?",
        (topics.BLIND.pattern, replayed_since_ns),
    )
    db.execute("DELETE FROM outbox WHERE refused_ns IS NOT NULL AND put_ns < ?", (oldest_ns,))
    [pages] = db.execute("PRAGMA page_count").fetchone()
    [free] = db.execute("PRAGMA freelist_count").fetchone()
    [size] = db.execute("PRAGMA page_size").fetchone()
    if (pages - free) * size <= most_bytes:
        return
    shrunk = db.execute(
        "DELETE FROM pictures WHERE rowid IN (SELECT rowid FROM pictures ORDER BY rowid LIMIT 200)"
    )
    if not shrunk.rowcount:
        db.execute(
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE alert_id IS NOT NULL"
            " AND delivered_ns < ? ORDER BY seq LIMIT 1000)",
            (replayed_since_ns,),
        )
