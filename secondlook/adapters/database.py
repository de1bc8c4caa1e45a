"""SQLite in a thread of its own, with an async face. Knows no tables.

WAL with `synchronous=FULL`: what `write` has returned from survives a kill and a power cut.
"""

import asyncio
import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from secondlook.adapters.ownership import FILE_MODE, lock, make_private, private_file
from secondlook.errors import ConfigError, DatabaseError, VersionMismatch

T = TypeVar("T")
log = logging.getLogger(__name__)

Connection = sqlite3.Connection
"""What the work of a transaction is given."""
BUSY_MS = 5000
"""How long to wait for another process, such as a backup, that holds the database."""
WAL_BYTES = 16_000_000
"""The write-ahead log is cut back to this after a checkpoint."""
_UNUSABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
}
"""What another path mends, and waiting does not."""


@dataclass(slots=True)
class DatabaseStats:
    """What has happened so far; only ever counts up."""

    commits: int = 0
    failures: int = 0


class Database:
    """One SQLite file, used by this process alone.

    Args:
        path: The file; it and its folder are made if missing.
        migrations: SQL scripts; the first makes an empty database one of version `oldest`, each
            further one takes it to the next version.
        oldest: The oldest version that can still be read, and migrated if need be.
        on_commit: Told the seconds that each commit took, in the event loop.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        *,
        oldest: int = 1,
        on_commit: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.stats = DatabaseStats()
        self._path = path
        self._migrations = migrations
        self._oldest = oldest
        self._newest = oldest + len(migrations) - 1
        self._on_commit = on_commit
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._thread = ThreadPoolExecutor(1, "database")

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigError: Another process uses it, or this user may not.
            VersionMismatch: It is newer than this program, or older than it can migrate.
            DatabaseError: It cannot be opened, or is no database.
        """
        try:
            await self._in_thread(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # What is being written is finished first: the thread takes one thing at a time.
        await asyncio.shield(self._in_thread(self._close))
        self._thread.shutdown(wait=False)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction of its own; when this returns, it is on the disk.

        `work` runs in another thread and may be run again after a failure, so it must only
        touch the connection.

        Raises:
            DatabaseError: It could not be written (a full disk, a damaged file); nothing of it
                has taken effect.
        """
        started = time.perf_counter()
        result = await self._in_thread(lambda: self._transaction(work))
        self.stats.commits += 1
        self._on_commit(time.perf_counter() - started)
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads.

        Raises:
            DatabaseError: It could not be read.
        """
        return await self._in_thread(lambda: self._guarded(work))

    @property
    def size_bytes(self) -> int:
        """What the file and its write-ahead log take on the disk."""
        found = 0
        for path in (self._path, self._path.with_name(self._path.name + "-wal")):
            with contextlib.suppress(OSError):
                found += path.stat().st_size
        return found

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            make_private(self._path.parent)
            self._lock = self._take()
            # Made before SQLite makes it; what lies beside it (the log) takes its mode.
            os.close(private_file(str(self._path), os.O_RDWR | os.O_CREAT))
            with contextlib.suppress(PermissionError):  # somebody else's, who lets us write to it
                self._path.chmod(FILE_MODE)
            self._connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False
            )
            found = self._require_known(self._connection)
            # Set before the first table is made: lets the file shrink without a full rewrite.
            for setting in (
                f"busy_timeout={BUSY_MS}",
                "auto_vacuum=INCREMENTAL",
                "journal_mode=WAL",
                "synchronous=FULL",
                # What is deleted is overwritten where that costs no further page.
                "secure_delete=FAST",
                f"journal_size_limit={WAL_BYTES}",
            ):
                self._connection.execute(f"PRAGMA {setting}").fetchall()
            self._transaction(partial(self._migrate, found=found))
        except sqlite3.DatabaseError as error:
            raise DatabaseError(
                f"classifier.database: {self._path} cannot be used ({error}); move it away to "
                "begin with an empty one, or restore it from a backup"
            ) from error
        except OSError as error:
            kind = ConfigError if error.errno in _UNUSABLE else DatabaseError
            raise kind(
                f"classifier.database: {self._path} cannot be opened ({error.strerror}); give a "
                "path that this user may write to"
            ) from error

    def _take(self) -> int:
        try:
            return lock(self._path.with_name(self._path.name + ".lock"))
        except BlockingIOError:
            raise ConfigError(
                f"classifier.database: {self._path} is in use by another classifier; stop it, or "
                "give this one a path of its own"
            ) from None

    def _require_known(self, connection: sqlite3.Connection) -> int:
        """Return the version of the file's format, 0 for an empty one; changes nothing.

        Raises:
            VersionMismatch: It is newer than this program, or older than it can migrate.
            ConfigError: It is a database of another program.
        """
        [found] = connection.execute("PRAGMA user_version").fetchone()
        where = f"classifier.database: {self._path}"
        if found == 0 and connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
            raise ConfigError(f"{where} is a database of another program; give a path of its own")
        if found > self._newest:
            raise VersionMismatch(
                f"{where} was written by a newer version of Second Look (its format is {found}, "
                f"this version reads up to {self._newest}); install that one, or restore a backup "
                "from before the upgrade"
            )
        if 0 < found < self._oldest:
            raise VersionMismatch(
                f"{where} is of an old version of Second Look (its format is {found}, this "
                f"version reads {self._oldest} or newer); upgrade by way of a version in between, "
                "as docs/upgrading.md says, or move it away to begin with an empty one"
            )
        return int(found)

    def _migrate(self, connection: sqlite3.Connection, found: int) -> None:
        missing = self._migrations[found - self._oldest + 1 :] if found else self._migrations
        if found and missing:
            log.info("%s: taking its format from %d to %d", self._path, found, self._newest)
        for script in missing:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={self._newest}")

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def begin_and_commit(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # After some failures SQLite has rolled back by itself.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            return result

        return self._guarded(begin_and_commit)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise DatabaseError("the database is closed")
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            self.stats.failures += 1
            raise DatabaseError(f"{self._path}: {error}") from error

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _statements(script: str) -> Iterator[str]:
    """Split a script; `executescript` would commit the transaction that it is part of."""
    statement = ""
    for part in f"{script};".split(";")[:-1]:
        statement += part + ";"
        # A semicolon in a comment or a text ends nothing.
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
