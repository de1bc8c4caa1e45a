"""Folders and files of one user and, while it runs, of one process. Knows nothing of their content.

Everything that may show people, or says what they did, is made with mode 0700 and 0600 whatever
the umask: a group is wider than anyone remembers, and services in containers share one user.
Folders that exist are left as they are: they may be somebody's, or a volume with rules of its own.
"""

import fcntl
import os
import stat
import time
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
GROUP_FOLDER_MODE, GROUP_FILE_MODE = 0o750, 0o640
"""Where the configuration lets one group read."""
WAIT_S = 8.0
"""A predecessor that was told to stop drains for 5 s."""
_LOOK_EVERY_S = 0.05


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    above = folder
    while not above.exists() and above != above.parent:
        missing.append(above)
        above = above.parent
    for each in reversed(missing):
        each.mkdir(mode=FOLDER_MODE, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)  # says what is wrong where it is no folder


def set_group_reading(folder: Path, *, allowed: bool) -> None:
    """Let the group of a folder look into it, or not; a folder of somebody else is left alone.

    Raises:
        OSError: It cannot be changed.
    """
    found = folder.stat()
    readable = GROUP_FOLDER_MODE & ~FOLDER_MODE
    # Of the rest, the set-group-id bit is what gives new files the folder's group.
    before = stat.S_IMODE(found.st_mode)
    after = before | readable if allowed else before & ~readable
    if after != before and found.st_uid == os.geteuid():
        folder.chmod(after)


def private_file(path: str, flags: int) -> int:
    """Open a file, if need be made for its owner alone; links are not followed."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


def lock(path: Path, wait_s: float = WAIT_S) -> int:
    """Lock a folder, or a file, made if missing; return what to close. Dying unlocks it too.

    Raises:
        BlockingIOError: Another process holds it, also after `wait_s`.
        OSError: It cannot be opened.
    """
    # A folder needs no file of its own: it can be locked on a full disk.
    flags = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT
    opened = private_file(str(path), flags)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_LOOK_EVERY_S)
                continue
            os.close(opened)
            raise
        except OSError:
            os.close(opened)
            raise
        return opened
