"""The database rows behind the desk: memory, heartbeat, feedback. Decides nothing."""

import json
from collections.abc import Mapping, Sequence

from classifier_svc.pictures import Pictures
from secondlook.adapters.database import Connection
from secondlook.messages import Feedback

FEEDBACK_KEPT = 10_000
"""Nobody's disk is filled by feedback."""
Change = tuple[str, str, str, bytes | None]
"""camera, kind, key and value; None: forget it."""


def give_back(db: Connection, most: int = 0) -> None:
    """Give free pages back to the disk; 0: all of them.

    As a script, which is run to its end: `execute` takes one step, and each step frees one page.
    """
    db.executescript(f"PRAGMA incremental_vacuum({most})")


def load_memory(db: Connection) -> list[tuple[str, str, str, bytes]]:
    """Return everything that is remembered: camera, kind, key, value."""
    return db.execute("SELECT camera, kind, key, value FROM memory").fetchall()


def save_memory(db: Connection, changes: Sequence[Change]) -> None:
    """Store what changed."""
    for camera, kind, key, value in changes:
        if value is None:
            db.execute(
                "DELETE FROM memory WHERE camera = ? AND kind = ? AND key = ?", (camera, kind, key)
            )
        else:
            db.execute(
                "INSERT INTO memory (camera, kind, key, value) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET value = excluded.value",
                (camera, kind, key, value),
            )


def keep_pictures(db: Connection, pictures: Mapping[str, Pictures]) -> None:
    """Store the snapshots of alerts, the newest of each.

    Args:
        db: In a transaction.
        pictures: By `snapshot_id`, `<alert id>.<number>`.
    """
    db.executemany(
        "INSERT INTO pictures (alert_id, snapshot_id, jpeg) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET snapshot_id = excluded.snapshot_id, jpeg = excluded.jpeg",
        [(name.rpartition(".")[0], name, each.snapshot) for name, each in pictures.items()],
    )


def last_heartbeat(db: Connection) -> int | None:
    """Return the Unix time at which the process before this one last lived."""
    row = db.execute("SELECT at_ns FROM heartbeat").fetchone()
    return None if row is None else int(row[0])


def beat(db: Connection, now_ns: int) -> None:
    """Note that this process lives."""
    db.execute(
        "INSERT INTO heartbeat (one, at_ns) VALUES (1, ?)"
        " ON CONFLICT DO UPDATE SET at_ns = excluded.at_ns",
        (now_ns,),
    )


def add_feedback(db: Connection, feedback: Feedback, now_ns: int) -> tuple[bool, bool]:
    """Store what an alert really was.

    Returns:
        Whether the alert is known, and whether this is another word than the last one on it.
    """
    said = (feedback.truth, feedback.label)
    before = db.execute(
        "SELECT truth, label FROM feedback WHERE alert_id = ? ORDER BY seq DESC LIMIT 1",
        (feedback.id,),
    ).fetchone()
    known = is_real(db, feedback.id)
    if before == said:
        return known, False
    db.execute(
        "INSERT INTO feedback (alert_id, truth, label, at_ns, known) VALUES (?, ?, ?, ?, ?)",
        (feedback.id, *said, now_ns, known),
    )
    db.execute(
        "DELETE FROM feedback WHERE seq <= (SELECT max(seq) FROM feedback) - ?", (FEEDBACK_KEPT,)
    )
    return known, True


def is_real(db: Connection, alert_id: str) -> bool:
    """Tell whether an alert is kept here and is no test."""
    row = db.execute(
        "SELECT payload FROM outbox WHERE alert_id = ? LIMIT 1", (alert_id,)
    ).fetchone()
    return row is not None and not json.loads(row[0])["test"]


def judged(db: Connection) -> dict[tuple[str, str], int]:
    """Return how many alerts people called what, by camera and truth; the last word counts."""
    rows = db.execute(
        "SELECT substr(alert_id, 1, length(alert_id) - 27), truth, count(*) FROM feedback"
        " WHERE known AND seq IN (SELECT max(seq) FROM feedback GROUP BY alert_id) GROUP BY 1, 2"
    )
    return {(camera, truth): count for camera, truth, count in rows}


def newest_feedback(db: Connection, most: int) -> list[Feedback]:
    """Return the last word on each alert, of the newest ones, the oldest first."""
    rows = db.execute(
        "SELECT alert_id, truth, label FROM feedback WHERE seq IN"
        " (SELECT max(seq) FROM feedback GROUP BY alert_id) ORDER BY seq DESC LIMIT ?",
        (most,),
    ).fetchall()
    return [Feedback(id=id_, truth=truth, label=label) for id_, truth, label in reversed(rows)]


def purge(db: Connection, before_ns: int) -> None:
    """Forget feedback from before a Unix time, and pictures whose alert is forgotten."""
    db.execute("DELETE FROM feedback WHERE at_ns < ?", (before_ns,))
    db.execute(
        "DELETE FROM pictures WHERE alert_id NOT IN"
        " (SELECT alert_id FROM outbox WHERE alert_id IS NOT NULL)"
    )
