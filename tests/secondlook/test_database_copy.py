import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secondlook.adapters.database_copy import copy, version_of
from secondlook.errors import DatabaseError

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("PRAGMA journal_mode=WAL")
db.execute("CREATE TABLE a (n)")
db.execute("CREATE TABLE b (n)")
db.execute("CREATE TABLE ballast (x)")
db.execute("PRAGMA user_version=2")
for _ in range(30):
    db.execute("INSERT INTO ballast VALUES (zeroblob(1000000))")
number = 0
while True:
    number += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO a VALUES (?)", (number,))
    db.execute("INSERT INTO b VALUES (?)", (number,))
    db.execute("COMMIT")
    if number <= 5:
        print(number, flush=True)
"""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that writes a pair of rows again and again."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def test_a_copy_shows_one_moment_although_a_writer_goes_on(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        # A slow disk: the writer commits between any two steps.
        before = rows(tmp_path / "db", "SELECT count(*) FROM a")
        until = time.monotonic() + 20
        while rows(tmp_path / "db", "SELECT count(*) FROM a") == before:
            assert time.monotonic() < until, "the copy keeps the writer waiting"
            time.sleep(0.001)

    with writing(tmp_path / "db"):
        copy(tmp_path / "db", tmp_path / "copy", progress)

    assert len(told) >= 4, "it was taken in several steps"
    assert [done for done, _ in told] == sorted(done for done, _ in told), "none began it anew"
    assert told[-1][0] == told[-1][1] > 30_000_000
    assert rows(tmp_path / "copy", "PRAGMA integrity_check") == [("ok",)]
    a = rows(tmp_path / "copy", "SELECT n FROM a ORDER BY n")
    b = rows(tmp_path / "copy", "SELECT n FROM b ORDER BY n")
    assert a == b == [(number,) for number in range(1, len(a) + 1)]
    assert len(a) >= 5


def test_a_copy_is_one_private_file(tmp_path: Path) -> None:
    with writing(tmp_path / "db"):
        copy(tmp_path / "db", tmp_path / "sub", lambda _done, _all: None)
    assert version_of(tmp_path / "sub") == 2
    assert sorted(path.name for path in tmp_path.glob("sub*")) == ["sub"]
    assert (tmp_path / "sub").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_writer_left_in_its_log_is_copied_too(tmp_path: Path) -> None:
    with writing(tmp_path / "db"):
        pass
    assert (tmp_path / "db-wal").stat().st_size > 0
    copy(tmp_path / "db", tmp_path / "copy", lambda _done, _all: None)
    assert rows(tmp_path / "copy", "SELECT count(*) FROM a")[0][0] >= 5


def test_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        copy(tmp_path / "db", tmp_path / "copy", lambda _done, _all: None)
    with pytest.raises(DatabaseError, match="not a database"):
        version_of(tmp_path / "db")
    with pytest.raises(DatabaseError, match="unable to open"):
        version_of(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_damaged_copy_is_found(tmp_path: Path) -> None:
    with writing(tmp_path / "db"):
        copy(tmp_path / "db", tmp_path / "copy", lambda _done, _all: None)
    content = bytearray((tmp_path / "copy").read_bytes())
    content[4096:8192] = bytes(range(256)) * 16
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(DatabaseError):
        version_of(tmp_path / "copy")
