"""What the processes and folders of a running stack take at a moment, read from `/proc`."""

import contextlib
import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.rig import family, rows

MB = 1_000_000
SHARED = "/dev/shm/"  # noqa: S108 - only compared with
WAITING = "SELECT count(*) FROM outbox WHERE delivered_ns IS NULL"
UNJUDGED = "SELECT count(*) FROM inbox WHERE done_ns IS NULL"


def processes(parts: dict[str, int]) -> dict[str, int]:
    """Return the process ids of parts and their descendants, each under a name of its own.

    Args:
        parts: The process id of each part by its name.
    """
    found: dict[str, int] = {}
    for part, pid in parts.items():
        counts: Counter[str] = Counter()
        for member in family(pid):
            name = part if member == pid else f"{part}: {_what(member)}"
            counts[name] += 1
            found[name if counts[name] == 1 else f"{name} {counts[name]}"] = member
    return found


def _what(pid: int) -> str:
    """Return what a child is, in a word: the module, or the model of a Triton backend."""
    argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    for before, word in itertools.pairwise(argv):
        if before == "-m":
            return word.rpartition(".")[2]
        if word.endswith("/model.py"):
            return Path(word).parts[-3]
    return Path(argv[0]).name


def memory_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process, and the part of it that no file stands behind.

    The kernel may take pages of files back at any time and hides a leak by that; it cannot take
    back the others where there is no swap.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: value for name, _, value in (line.partition(":") for line in lines)}
    resident, anonymous = (int(values[name].split()[0]) for name in ("VmRSS", "RssAnon"))
    return resident * 1024 / MB, anonymous * 1024 / MB


def open_files(pid: int) -> int:
    """Return how many files, sockets and pipes a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def folder_mb(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return sum(_size(path) for path in folder.rglob("*")) / MB


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0  # it has just been removed


def shared_mb(pids: dict[str, int]) -> float:
    """Return the size of the files in shared memory that the processes map, each counted once."""
    return sum(_size(path) for path in {p for pid in pids.values() for p in _mapped(pid)}) / MB


def _mapped(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            path = line.partition(SHARED)[2]
            if path and not path.endswith("(deleted)"):
                yield Path(SHARED) / path


def database_mb(database: Path) -> float:
    """Return the size of a database with what lies beside it."""
    return sum(_size(Path(f"{database}{end}")) for end in ("", "-wal", "-shm")) / MB


def waiting(database: Path) -> tuple[int, int]:
    """Return how many messages wait in the outbox and how much in the inbox."""
    try:
        [(outbox,)], [(inbox,)] = rows(database, WAITING), rows(database, UNJUDGED)
    except sqlite3.OperationalError:
        return 0, 0  # not made yet
    return outbox, inbox


def sample(pids: dict[str, int], folder: Path, frames: Path) -> dict[str, float]:
    """Return everything that is measured, each under a name that ends in its unit.

    Args:
        pids: As `processes` returns them.
        folder: Where the stack keeps what outlives it.
        frames: The frame store.
    """
    found: dict[str, float] = {}
    for name, pid in pids.items():
        found[f"{name}, resident MB"], found[f"{name}, anonymous MB"] = memory_mb(pid)
        found[f"{name}, open files"] = open_files(pid)
    frames_mb = folder_mb(frames)
    database = folder / "classifier.sqlite3"
    outbox, inbox = waiting(database)
    return found | {
        "database, MB": database_mb(database),
        "spool, MB": folder_mb(folder / "spool"),
        "broker's folder, MB": folder_mb(folder / "mosquitto"),
        "frames in tmpfs, MB": frames_mb,
        "mapped shared memory, MB": shared_mb(pids),
        "outbox, messages": outbox,
        "inbox, messages": inbox,
    }
