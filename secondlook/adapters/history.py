"""Reads the alerts that a classifier keeps in its database, beside it and without disturbing it.

Opened read-only: SQLite itself refuses every write. The tables are those of the classifier.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from secondlook.errors import DatabaseError, Unreadable
from secondlook.messages import Alert, Feedback

BUSY_S = 5.0
"""How long to wait for the classifier's own commit."""


class Kept(NamedTuple):
    """One message about an episode, and whether the broker has taken it."""

    alert: Alert
    delivered: bool


class History:
    """An open database; close it with `with`.

    Args:
        path: The file.

    Raises:
        DatabaseError: There is none, or it is no database of a classifier.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise DatabaseError(
                f"there is no {path}: the classifier makes it when it first runs; give another "
                "configuration with --config, or the file itself with --database"
            )
        self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        # Without a log beside it nobody is writing. Then it is read as it lies: SQLite would make
        # a log of its own beside it, also in a backup.
        alone = not self._path.with_name(f"{self._path.name}-wal").exists()
        where = f"{self._path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
        try:
            db = sqlite3.connect(where, uri=True, timeout=BUSY_S)
            try:
                db.execute("SELECT 1 FROM outbox LIMIT 1").fetchall()
            except sqlite3.Error:
                db.close()
                raise
        except sqlite3.Error as error:
            raise DatabaseError(
                f"{self._path} cannot be read as a classifier's database ({error})"
            ) from error
        return db

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def messages(self) -> Iterator[Kept]:
        """Yield all messages about alerts in the order in which they were decided.

        Raises:
            DatabaseError: They cannot be read.
        """
        rows = self._rows(
            "SELECT payload, delivered_ns IS NOT NULL FROM outbox WHERE alert_id IS NOT NULL"
            " ORDER BY seq"
        )
        for payload, delivered in rows:
            with contextlib.suppress(Unreadable):
                yield Kept(Alert.decode(payload), bool(delivered))

    def feedback(self) -> dict[str, Feedback]:
        """Return the last word on each alert, by its id.

        Raises:
            DatabaseError: It cannot be read.
        """
        rows = self._rows("SELECT alert_id, truth, label FROM feedback ORDER BY seq")
        return {id_: Feedback(id=id_, truth=truth, label=label) for id_, truth, label in rows}

    def picture(self, alert_id: str) -> bytes | None:
        """Return the newest picture of an alert as JPEG; None if it is not kept.

        Raises:
            DatabaseError: It cannot be read.
        """
        rows = self._rows("SELECT jpeg FROM pictures WHERE alert_id = ?", alert_id)
        return bytes(rows[0][0]) if rows else None

    def _rows(self, query: str, *values: str) -> Sequence[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise DatabaseError(f"{self._path}: {error}") from error
