import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from secondlook.adapters import database as database_module
from secondlook.adapters import ownership
from secondlook.adapters.database import Database
from secondlook.errors import ConfigError, DatabaseError, VersionMismatch

TABLE = ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)",)


def put(text: str):
    return lambda db: db.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid


def count(db: sqlite3.Connection) -> int:
    [number] = db.execute("SELECT count(*) FROM note").fetchone()
    return int(number)


async def test_what_is_written_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "a.sqlite3"
    async with Database(path, TABLE) as database:
        assert await database.write(put("one")) == 1
    async with Database(path, TABLE) as database:
        assert await database.read(count) == 1


async def test_it_is_durable(tmp_path: Path) -> None:
    async with Database(tmp_path / "a", TABLE) as database:
        assert await database.read(lambda db: db.execute("PRAGMA journal_mode").fetchone()) == (
            "wal",
        )
        assert await database.read(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)


async def test_a_transaction_takes_effect_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(db: sqlite3.Connection) -> None:
        put("one")(db)
        db.execute("INSERT INTO nowhere VALUES (1)")

    async with Database(tmp_path / "a", TABLE) as database:
        with pytest.raises(DatabaseError, match="nowhere"):
            await database.write(fails)
        assert await database.read(count) == 0
        await database.write(put("two"))
        assert await database.read(count) == 1
        assert (database.stats.commits, database.stats.failures) == (1, 1)


async def test_other_errors_of_the_work_roll_back_too_and_are_not_hidden(tmp_path: Path) -> None:
    def fails(db: sqlite3.Connection) -> None:
        put("one")(db)
        raise KeyError("mine")

    async with Database(tmp_path / "a", TABLE) as database:
        with pytest.raises(KeyError):
            await database.write(fails)
        assert await database.read(count) == 0


async def test_everything_runs_in_one_thread_and_one_after_another(tmp_path: Path) -> None:
    threads = set()

    def note(db: sqlite3.Connection) -> None:
        threads.add(threading.get_ident())
        put("x")(db)

    async with Database(tmp_path / "a", TABLE) as database:
        await asyncio.gather(*(database.write(note) for _ in range(50)))
        assert await database.read(count) == 50
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_commits_are_timed(tmp_path: Path) -> None:
    seconds: list[float] = []
    async with Database(tmp_path / "a", TABLE, on_commit=seconds.append) as database:
        await database.write(put("x"))
    assert len(seconds) == 1
    assert seconds[0] > 0


async def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    async with Database(tmp_path / "a", TABLE) as database:
        await database.write(put("old"))
    more = (*TABLE, "ALTER TABLE note ADD COLUMN size INTEGER; -- a; b\nUPDATE note SET size = 7")
    for _ in range(2):
        async with Database(tmp_path / "a", more) as database:
            rows = await database.read(lambda db: db.execute("SELECT * FROM note").fetchall())
            assert rows == [(1, "old", 7)]


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    async with Database(tmp_path / "a", TABLE) as database:
        await database.write(put("old"))
    with pytest.raises(DatabaseError, match="nowhere"):
        async with Database(tmp_path / "a", (*TABLE, "DROP TABLE note; DROP TABLE nowhere")):
            pass
    async with Database(tmp_path / "a", TABLE) as database:
        assert await database.read(count) == 1


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    more = (*TABLE, "ALTER TABLE note ADD COLUMN size INTEGER")
    async with Database(tmp_path / "a", more) as database:
        await database.write(put("new"))
    with pytest.raises(VersionMismatch, match=r"newer version .* format is 2, .* up to 1"):
        async with Database(tmp_path / "a", TABLE):
            pass
    async with Database(tmp_path / "a", more) as database:
        assert await database.read(count) == 1


async def test_a_database_that_is_too_old_to_migrate_is_refused(tmp_path: Path) -> None:
    async with Database(tmp_path / "a", TABLE) as database:
        await database.write(put("old"))
    with pytest.raises(VersionMismatch, match=r"format is 1, .* reads 2 or newer.*in between"):
        async with Database(tmp_path / "a", TABLE, oldest=2):
            pass
    async with Database(tmp_path / "a", TABLE) as database:
        assert await database.read(count) == 1


async def test_where_old_versions_were_dropped_younger_ones_are_migrated(tmp_path: Path) -> None:
    second = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE b (x)"
    third = "ALTER TABLE note ADD COLUMN size INTEGER DEFAULT 7"
    async with Database(tmp_path / "a", (*TABLE, "CREATE TABLE b (x)")) as database:
        await database.write(put("old"))
    for path in (tmp_path / "a", tmp_path / "new"):
        async with Database(path, (second, third), oldest=2) as database:
            await database.read(lambda db: db.execute("SELECT size FROM note").fetchall())
            version = await database.read(lambda db: db.execute("PRAGMA user_version").fetchone())
            assert version == (3,)
    async with Database(tmp_path / "a", (second, third), oldest=2) as database:
        assert await database.read(count) == 1


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "a")) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="of another program"):
        async with Database(tmp_path / "a", TABLE):
            pass
    with contextlib.closing(sqlite3.connect(tmp_path / "a")) as other:
        tables = other.execute("SELECT name FROM sqlite_schema").fetchall()
    assert tables == [("theirs",)]


async def test_rubbish_in_place_of_the_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DatabaseError, match="move it away"):
        async with Database(tmp_path / "a", TABLE):
            pass
    assert (tmp_path / "a").read_bytes().startswith(b"this is no database")


async def test_a_path_that_cannot_be_written_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="may write to"):
        async with Database(tmp_path / "file" / "a", TABLE):
            pass


async def test_two_processes_cannot_use_one_database(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(database_module, "lock", partial(ownership.lock, wait_s=0.1))
    async with Database(tmp_path / "a", TABLE):
        with pytest.raises(ConfigError, match="another classifier"):
            async with Database(tmp_path / "a", TABLE):
                pass
    async with Database(tmp_path / "a", TABLE):
        pass


async def test_a_full_disk_is_an_error_and_room_on_it_the_cure(tmp_path: Path) -> None:
    async with Database(tmp_path / "a", TABLE) as database:
        # What SQLite raises on a full disk, without filling one.
        await database.read(lambda db: db.execute("PRAGMA max_page_count=4").fetchone())
        with pytest.raises(DatabaseError, match="full"):
            await database.write(put("x" * 100_000))
        assert await database.read(count) == 0
        await database.read(lambda db: db.execute("PRAGMA max_page_count=100000").fetchone())
        await database.write(put("x" * 100_000))
        assert await database.read(count) == 1


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "a", TABLE)
    async with database:
        pass
    with pytest.raises((DatabaseError, RuntimeError)):
        await database.write(put("x"))


WRITER = """
import asyncio, sys
from pathlib import Path
from secondlook.adapters.database import Database

def two(number):
    def work(db):
        db.execute("INSERT INTO note (text) VALUES (?)", (f"{number} a",))
        db.execute("INSERT INTO note (text) VALUES (?)", (f"{number} b" * 2000,))
    return work

async def main():
    tables = ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)",)
    async with Database(Path(sys.argv[1]), tables) as database:
        for number in range(100000):
            await database.write(two(number))
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

asyncio.run(main())
"""


async def texts_in(path: Path) -> list[str]:
    async with Database(path, TABLE) as database:
        return await database.read(
            lambda db: [text for (text,) in db.execute("SELECT text FROM note ORDER BY id")]
        )


@pytest.mark.parametrize("after", [1, 7, 30, 101])
def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path, after: int) -> None:
    path = tmp_path / "a"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        said += [int(line) for line in writer.stdout.read().split("\n") if line]
    texts = asyncio.run(texts_in(path))
    numbers = [int(text.split()[0]) for text in texts]
    assert numbers[0::2] == numbers[1::2] == list(range(len(numbers) // 2))
    assert len(numbers) // 2 > said[-1]
