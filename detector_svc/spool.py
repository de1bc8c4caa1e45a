"""Evidence on disk until it is too old to matter, whatever the broker said about it.

An acknowledgement only says that the broker took a message, and a killed broker forgets what
it took. So crops and ends of tracks stay here for `hold_s` and are sent again when there is
reason to. One file each, `<directory>/<camera>/<sequence>-<crc32>.json`, written aside and
renamed: killing the detector leaves whole files only. Sequences are Unix nanoseconds, pushed
up where needed so that they only grow: their order is the order of sending. How long a message
has been kept is measured on a steady clock: setting the other one makes nothing too old.

A camera that floods the spool sheds its own messages, no other's.
"""

import errno
import itertools
import logging
import os
import re
import threading
import time
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from secondlook.adapters.ownership import make_private, private_file
from secondlook.errors import ConfigError
from secondlook.messages import Crop, TrackEnded

log = logging.getLogger(__name__)

MEMORY_BYTES = 16_000_000
"""What may wait in memory while the disk takes nothing."""
_NAME = re.compile(r"([0-9]{20})-([0-9a-f]{8})\.json")
_CAMERA = re.compile(r"[a-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One kept message."""

    sequence: int
    camera: str
    size: int
    path: Path | None
    until_s: float
    """When it is too old, on the steady clock."""
    payload: bytes | None = None
    """Set where the disk did not take it."""


class Spool:
    """Keeps messages, in order per camera.

    Its methods may be called from any thread, `put` by one at a time for each camera.

    Args:
        directory: Made if missing.
        max_bytes: Beyond this the camera that takes most sheds its oldest.
        hold_s: Messages older than this are forgotten.
        now_ns: Unix time.
        steady_s: A clock that only goes forward.

    Raises:
        ConfigError: The directory cannot be used at all.
    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        hold_s: float,
        now_ns: Callable[[], int] = time.time_ns,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """`shed` (no room), `expired` (too old), `corrupt` (unreadable file), `unwritten` (the
        disk did not take it: kept in memory alone)."""
        self.by_camera: Counter[tuple[str, str]] = Counter()
        """The same by camera and cause."""
        self._directory = directory
        self._max_bytes = max_bytes
        self._hold_s = hold_s
        self._now_ns = now_ns
        self._steady_s = steady_s
        self._lock = threading.Lock()
        self._kept: dict[str, list[Entry]] = {}
        self._bytes = 0
        self._taken: Counter[str] = Counter()
        self._memory_bytes = 0
        self._last = 0
        self._disk_is_well = True
        self._load()

    @property
    def size_bytes(self) -> int:
        """Bytes of all kept messages."""
        return self._bytes

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def cameras(self) -> list[str]:
        """Return the cameras with kept messages."""
        with self._lock:
            return [camera for camera, entries in self._kept.items() if entries]

    def put(self, message: Crop | TrackEnded) -> Entry:
        """Keep a message; shed the oldest ones if there is no room."""
        payload = message.encode()
        with self._lock:
            self._last = max(self._now_ns(), self._last + 1)
            sequence = self._last
        entry = self._written(message.camera, sequence, payload)
        with self._lock:
            self._add(entry)
            self._forget_old()
            self._make_room()
        return entry

    def newest(self, camera: str) -> int:
        """Return the sequence of the camera's newest message, 0 if none is kept."""
        with self._lock:
            entries = self._kept.get(camera)
            return entries[-1].sequence if entries else 0

    def after(self, camera: str, sequence: int, limit: int) -> list[Entry]:
        """Return the camera's next messages behind `sequence`, at most `limit`."""
        with self._lock:
            self._forget_old()
            entries = self._kept.get(camera, [])
            begin = bisect_right(entries, sequence, key=lambda entry: entry.sequence)
            return entries[begin : begin + limit]

    def read(self, entry: Entry) -> bytes | None:
        """Return a message as it was put; None if it is gone or its file is corrupt."""
        if entry.payload is not None or entry.path is None:
            return entry.payload
        try:
            payload = entry.path.read_bytes()
        except FileNotFoundError:
            return None  # shed meanwhile, and counted there
        except OSError as error:
            log.warning("%s cannot be read: %s", entry.path, error.strerror)
            payload = b""
        if f"{zlib.crc32(payload):08x}" == entry.path.stem.rpartition("-")[2]:
            return payload
        with self._lock:
            if entry in self._kept.get(entry.camera, []):
                self._kept[entry.camera].remove(entry)
                self._let_go(entry, "corrupt")
        return None

    def _written(self, camera: str, sequence: int, payload: bytes) -> Entry:
        until_s = self._steady_s() + self._hold_s
        path = self._directory / camera / f"{sequence:020d}-{zlib.crc32(payload):08x}.json"
        part = path.with_suffix(".part")
        try:
            make_private(path.parent)
            opened = private_file(str(part), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(opened, "wb") as file:
                file.write(payload)
            part.rename(path)
        except OSError as error:
            self._complain(camera, error)
            try:
                part.unlink(missing_ok=True)
            except OSError:
                log.debug("%s stays until the next start", part)
            return Entry(sequence, camera, len(payload), None, until_s, payload)
        if not self._disk_is_well:
            self._disk_is_well = True
            log.info("crops are written to %s again", self._directory)
        return Entry(sequence, camera, len(payload), path, until_s)

    def _complain(self, camera: str, error: OSError) -> None:
        with self._lock:
            self._count(camera, "unwritten")
        if self._disk_is_well:
            self._disk_is_well = False
            log.error(
                "%s: %s; crops are kept in memory alone until there is room: they are lost if the "
                "detector stops",
                self._directory,
                error.strerror,
            )

    def _add(self, entry: Entry) -> None:
        self._kept.setdefault(entry.camera, []).append(entry)
        self._bytes += entry.size
        self._taken[entry.camera] += entry.size
        if entry.payload is not None:
            self._memory_bytes += entry.size

    def _forget_old(self) -> None:
        now_s = self._steady_s()
        for entries in self._kept.values():
            while entries and entries[0].until_s <= now_s:
                self._let_go(entries.pop(0), "expired")

    def _make_room(self) -> None:
        while self._bytes > self._max_bytes:
            self._let_go(self._kept[_largest(self._taken, self._kept)].pop(0), "shed")
        while self._memory_bytes > MEMORY_BYTES:
            unwritten: dict[str, list[Entry]] = {}
            for entry in itertools.chain(*self._kept.values()):
                if entry.payload is not None:
                    unwritten.setdefault(entry.camera, []).append(entry)
            taken = Counter({name: sum(e.size for e in each) for name, each in unwritten.items()})
            oldest = unwritten[_largest(taken, unwritten)][0]
            self._kept[oldest.camera].remove(oldest)
            self._let_go(oldest, "shed")

    def _count(self, camera: str, why: str) -> None:
        self.counts[why] += 1
        self.by_camera[camera, why] += 1

    def _let_go(self, entry: Entry, why: str) -> None:
        self._count(entry.camera, why)
        self._bytes -= entry.size
        self._taken[entry.camera] -= entry.size
        if entry.path is None:
            self._memory_bytes -= entry.size
            return
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", entry.path, error.strerror)

    def _load(self) -> None:
        """Take up what an earlier life left."""
        try:
            make_private(self._directory)
            for folder in self._directory.iterdir():
                if _CAMERA.fullmatch(folder.name) and folder.is_dir():
                    for path in sorted(folder.iterdir()):
                        self._take_up(folder.name, path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                self._complain("", error)
                return
            raise ConfigError(
                f"detector.spool.directory: {self._directory}: {error.strerror}; give a folder "
                "that the detector may write to"
            ) from error
        self._last = max((e.sequence for e in itertools.chain(*self._kept.values())), default=0)
        self._forget_old()
        self._make_room()
        if len(self):
            log.info("%d crops of the last run wait in %s", len(self), self._directory)

    def _take_up(self, camera: str, path: Path) -> None:
        named = _NAME.fullmatch(path.name)
        if named is None:
            if path.suffix == ".part":
                path.unlink(missing_ok=True)
            return
        sequence, size = int(named[1]), path.stat().st_size
        # What seems to come from the future was written before the clock was set back: as good
        # as new, and gone after `hold_s` like everything else.
        age_s = max(0, self._now_ns() - sequence) / 1e9
        self._add(Entry(sequence, camera, size, path, self._steady_s() + self._hold_s - age_s))


def _largest(taken: Mapping[str, int], kept: Mapping[str, list[Entry]]) -> str:
    """Return the camera that takes most; of equals, the one with the oldest message."""
    filled = [camera for camera, entries in kept.items() if entries]
    return max(filled, key=lambda camera: (taken[camera], -kept[camera][0].sequence))
