"""A copy of a SQLite database that another process goes on writing to. Knows no tables.

The copy shows one moment: it is taken inside one read transaction, which in WAL mode neither
waits for a writer nor keeps it waiting.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from secondlook.adapters.ownership import FILE_MODE
from secondlook.errors import DatabaseError

PAGES_AT_ONCE = 2000
BUSY_MS = 10_000


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database into a new file, complete in itself and for its owner alone.

    Args:
        source: The database; it may be in use.
        target: Must not exist.
        progress: Told the bytes that are copied, and all of them.

    Raises:
        DatabaseError: It cannot be read, or the copy not be written.
    """
    target.touch(FILE_MODE, exist_ok=False)
    with _open(source, "ro") as reading, _open(target, "rw") as writing:
        with _explained(source):
            # Held until the end, or every commit of the writer would begin the copy anew. It is
            # the first read that begins it.
            reading.execute("BEGIN")
            reading.execute("SELECT 1 FROM sqlite_schema").fetchall()
            [size] = reading.execute("PRAGMA page_size").fetchone()
            reading.backup(
                writing,
                pages=PAGES_AT_ONCE,
                progress=lambda _, left, all_: progress((all_ - left) * size, all_ * size),
            )
        with _explained(target):
            # One file, without a log beside it; whoever opens it may choose WAL again.
            writing.execute("PRAGMA journal_mode=DELETE").fetchall()


def version_of(path: Path) -> int:
    """Return the version of a database's format, once it is known to be whole.

    Raises:
        DatabaseError: It is damaged, or no database.
    """
    with _open(path, "ro") as db, _explained(path):
        [said] = db.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise DatabaseError(f"{path} is damaged: {said}")
        [version] = db.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextlib.contextmanager
def _open(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    with _explained(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_MS / 1000,
        )
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {error}") from error
