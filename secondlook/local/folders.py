"""Where the embedded stack keeps what it writes: private folders, one per run."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from secondlook.errors import InstallError

SHM = Path("/dev/shm")  # noqa: S108 - the frame store must be in memory; every folder made there is private
LOCK = "lock"
YOUNG_S = 60.0


def state_home() -> Path:
    """Return a folder of this user for what outlives a run (XDG base directories)."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = home / "secondlook"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # A user without a home, such as `nobody`.
        folder = Path(tempfile.gettempdir()) / f"secondlook-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise InstallError(
                f"{folder} belongs to somebody else; set XDG_STATE_HOME to a folder of yours"
            ) from None
    return folder


def folder_of(config: Path) -> Path:
    """Return the folder that belongs to one configuration file."""
    digest = hashlib.sha256(str(config.absolute()).encode()).hexdigest()[:12]
    return state_home() / f"up-{digest}"


def is_held(folder: Path) -> bool:
    """Tell whether a living run holds this folder."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Make a private folder and hold it; it stays when the run is over.

    Raises:
        InstallError: Another run holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / LOCK).open("ab") as lock:
        if not _locked(lock):
            raise InstallError(
                "secondlook up is already running with this configuration; end it first"
            )
        yield folder


def _locked(lock: IO[bytes]) -> bool:
    """Take the lock; a few times, because `is_held` takes it for a moment to look."""
    for attempt in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 * attempt)
        else:
            return True
    return False


@contextlib.contextmanager
def temporary(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a private folder and remove it when the run is over.

    Leftovers of killed runs beside it are removed too: a lock that nobody holds tells them.
    """
    parent = parent or Path(tempfile.gettempdir())
    for left in parent.glob(f"{prefix}*"):
        if _is_old_and_ours(left) and (left / LOCK).exists() and not is_held(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_old_and_ours(folder: Path) -> bool:
    """Tell whether a folder may be a leftover: a young one may be about to take its lock."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    old = time.time() - found.st_mtime > YOUNG_S
    return old and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


@contextlib.contextmanager
def for_frames() -> Iterator[Path]:
    """Make a folder in memory for the pictures of one run."""
    usable = SHM.is_dir() and os.access(SHM, os.W_OK)
    with temporary("secondlook-frames-", SHM if usable else None) as folder:
        yield folder


def free_mb(folder: Path) -> int:
    """Return the megabytes that can still be written there."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize // 1_000_000


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
