"""Deletes alerts and their pictures for good: rows here, retained messages at the broker."""

import json

from ulid import ULID

from classifier_svc.outbox_rows import Outgoing
from secondlook import topics
from secondlook.adapters.database import Connection
from secondlook.errors import Unreadable
from secondlook.jpeg import comment_of
from secondlook.messages import Alert, ForgetCommand

PICTURES = (topics.SNAPSHOTS.pattern, topics.PICTURES.pattern)
_TIME_CHARACTERS = 10
"""Of a ULID; the rest is chance. As text, ids of one camera are in the order of their times."""


def ids_of(camera: str, command: ForgetCommand) -> tuple[str, str]:
    """Return the alert ids that a command means: from the first up to, not with, the second.

    Raises:
        Unreadable: It names an alert of another camera.
    """
    if command.id is not None:
        if not command.id.startswith(f"{camera}-"):
            raise Unreadable("the alert is of another camera")
        return command.id, f"{command.id}."
    if command.before is None:
        return f"{camera}-", f"{camera}."  # `.` follows `-`
    milliseconds = max(0, int(command.before.timestamp() * 1000))
    time = str(ULID.from_timestamp(milliseconds)).lower()[:_TIME_CHARACTERS]
    return f"{camera}-", f"{camera}-{time}"


def forget(db: Connection, camera: str, first: str, end: str) -> tuple[int, list[Outgoing]]:
    """Delete what is known of a camera's alerts; return how many, and what clears the broker.

    Alerts that the broker has not acknowledged yet stay: nothing is lost unsaid. Crops whose
    looks have been judged lose their pictures.

    Args:
        db: In a transaction.
        camera: Its name.
        first: The first alert id.
        end: The first that stays.
    """
    # Without it SQLite leaves the bytes in the file until something else is written there.
    db.execute("PRAGMA secure_delete = ON")
    where = "alert_id >= ? AND alert_id < ? AND alert_id IS NOT NULL"
    [count] = db.execute(
        f"SELECT count(DISTINCT alert_id) FROM outbox WHERE {where} AND delivered_ns IS NOT NULL",  # noqa: S608 - a constant
        (first, end),
    ).fetchone()
    db.execute(f"DELETE FROM outbox WHERE {where} AND delivered_ns IS NOT NULL", (first, end))  # noqa: S608 - a constant
    db.execute(f"DELETE FROM feedback WHERE {where}", (first, end))  # noqa: S608 - a constant
    # Of alerts that wait for their acknowledgement too: their words stay, their pictures go.
    db.execute(f"DELETE FROM pictures WHERE {where}", (first, end))  # noqa: S608 - a constant
    db.execute(
        "UPDATE inbox SET payload = NULL WHERE camera = ? AND done_ns IS NOT NULL", (camera,)
    )
    clearing = []
    for pattern in (topics.LAST.pattern, topics.NEWEST.pattern, *PICTURES):
        rows = db.execute("SELECT levels, payload FROM retained WHERE topic = ?", (pattern,))
        for levels, payload in rows.fetchall():
            if json.loads(levels)["camera"] == camera and first <= _id_in(pattern, payload) < end:
                # An empty retained message removes what the broker keeps; until it is
                # acknowledged, a broker that comes back is told so again.
                clearing.append(Outgoing(pattern, levels, b""))
    db.executemany(
        "UPDATE retained SET payload = ? WHERE topic = ? AND levels = ?",
        [(b"", each.topic, each.levels) for each in clearing],
    )
    db.execute("PRAGMA secure_delete = FAST")
    return count, clearing


def _id_in(pattern: str, payload: bytes) -> str:
    """Return the alert's id that a retained message is about, "" where there is none."""
    if pattern in PICTURES:
        return (comment_of(payload) or "").rpartition(".")[0]
    try:
        return Alert.decode(payload).id
    except Unreadable:
        return ""
