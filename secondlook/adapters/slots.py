"""Where pictures and answers lie while Triton has them, and how many calls may be under way.

The places are pieces of memory that Triton maps too where it can, so that neither pictures nor
answers travel. It does not know Triton: names and sizes come in, the calls are its caller's.

Two dangers decide how it works (both seen with Triton 2.48). A call that its client has given up
may still be read and written by the server: its memory must never serve another call. And a
server that is told to forget memory which a running call writes into dies of it.
"""

import asyncio
import fcntl
import logging
import math
import mmap
import os
import secrets
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from secondlook.errors import TritonTimeout

log = logging.getLogger(__name__)

SHARED: Final = Path("/dev/shm")  # noqa: S108 - POSIX shared memory lives there on Linux
PREFIX: Final = "secondlook-tensors-"
_ALIGNED: Final = 64  # a cache line: arrays that begin on one are copied fastest


class Region:
    """A piece of shared memory with a name that is never used again.

    Its owner holds a lock on the file as long as it lives, which tells living from leftover
    regions also across containers that share memory but not process ids.
    """

    def __init__(self, size: int) -> None:
        """Make one of `size` bytes, all zero.

        Raises:
            OSError: There is no room, or no shared memory at all.
        """
        self.name: Final = PREFIX + secrets.token_hex(8)
        self.size: Final = size
        self._path = SHARED / self.name
        # It gets its name when the lock is held, or it could be taken for a leftover.
        part = self._path.with_name(f".{self.name}.part")
        self._file = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.rename(self._path)
            # Room that is only promised would end this process with SIGBUS when it is touched.
            os.posix_fallocate(self._file, 0, size)
            self.memory: Final = mmap.mmap(self._file, size)
        except OSError:
            part.unlink(missing_ok=True)
            self.close()
            raise

    def close(self) -> None:
        """Remove the name; the memory goes with its last array, and with the server's mapping."""
        self._path.unlink(missing_ok=True)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def remove_leftovers() -> list[str]:
    """Remove the regions of clients that were killed; return their names."""
    removed = []
    for path in SHARED.glob(PREFIX + "*"):
        if not is_alive(path.name):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def is_alive(name: str) -> bool:
    """Return whether a region of that name is there and some process owns it."""
    try:
        file = os.open(SHARED / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's: not ours to judge
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


@dataclass(frozen=True, slots=True)
class Area:
    """What one array takes of a slot."""

    name: str
    dtype: DTypeLike
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


@dataclass(eq=False, slots=True)
class Slot:
    """The memory of one call. Fill `images`, call, use the answers, give it back."""

    images: NDArray[Any]
    """(batch, *input.shape) of the model's input type; writable, for the caller to fill."""
    region: Region | None = None
    """None: ordinary memory, its pictures travel inside the request."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """Where each output begins in the region, in bytes; the images begin at 0."""
    registered: int = 0
    """In which of the server's lives it was shown the region; 0: never."""
    retired: bool = False
    """Some call may still use it: it serves no other."""

    @classmethod
    def shared(cls, images: Area, outputs: Sequence[Area]) -> Self:
        """Make one in shared memory.

        Raises:
            OSError: There is no room, or no shared memory at all.
        """
        offsets, end = {}, images.nbytes
        for area in outputs:
            offsets[area.name] = end = -(-end // _ALIGNED) * _ALIGNED
            end += area.nbytes
        region = Region(end)
        array = np.frombuffer(region.memory, images.dtype, math.prod(images.shape))
        return cls(array.reshape(images.shape), region, offsets)

    @classmethod
    def private(cls, images: Area) -> Self:
        """Make one in ordinary memory."""
        return cls(np.zeros(images.shape, images.dtype))

    def output(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the memory of an output as an array of that type and shape."""
        if self.region is None:
            raise ValueError("a private slot has no outputs")
        array: NDArray[Any] = np.frombuffer(
            self.region.memory, dtype, math.prod(shape), self.offsets[name]
        )
        return array.reshape(shape)

    def close(self) -> None:
        """Give the memory up."""
        if self.region is not None:
            self.region.close()


class Slots:
    """The slots of one model: at most `places` in use, and as many again owed by the server.

    A retired slot's place goes to a new slot at once, so that one late answer costs nothing.
    From the `places`-th late answer on the server is hopelessly behind: then places come back
    only as the answers do, and it is never asked more than twice `places` things at a time.
    """

    def __init__(self, images: Area, outputs: Sequence[Area], *, places: int, shared: bool) -> None:
        self.shared = shared
        """Make the next slots in shared memory."""
        self._images = images
        self._outputs = outputs
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._idle: deque[Slot] = deque()
        self._owed: dict[Slot, bool] = {}
        """Retired slots whose answer is out, and whether their place is withheld."""
        self._closed = False

    async def acquire(self, patience_s: float) -> Slot:
        """Wait for a place and return a slot.

        Raises:
            TritonTimeout: The server owes an answer for every place there is.
        """
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    await self._free.acquire()
            except TimeoutError:
                if sum(self._owed.values()) < self._places:
                    continue  # the places are at work, and each call has a deadline
                raise TritonTimeout(
                    f"Triton has not answered {len(self._owed)} earlier calls"
                ) from None
            return self._idle.pop() if self._idle else self._make()

    def release(self, slot: Slot) -> None:
        """Give a slot back; a retired one's place has been seen to."""
        if slot.retired:
            return
        if self._closed or (slot.region is None) == self.shared:
            slot.close()
        else:
            self._idle.append(slot)
        self._free.release()

    def retire(self, slot: Slot, *, owed: bool) -> None:
        """Never use this slot again; `owed`: the server may still answer, see `answered`."""
        slot.retired = True
        # Only the name goes: both sides keep their mapping, and a late answer falls into it.
        slot.close()
        withheld = owed and len(self._owed) >= self._places
        if owed:
            self._owed[slot] = withheld
        if not withheld:
            self._free.release()

    def answered(self, slot: Slot) -> None:
        """The late answer of a retired slot has come, or never will."""
        if self._owed.pop(slot, False):
            self._free.release()

    def close(self) -> list[Slot]:
        """Give up all that are idle, and those in use as they come back; return the idle."""
        self._closed = True
        idle = list(self._idle)
        self._idle.clear()
        for slot in idle:
            slot.close()
        return idle

    def _make(self) -> Slot:
        if self.shared:
            try:
                return Slot.shared(self._images, self._outputs)
            except OSError as error:
                self.shared = False
                log.warning(
                    "no room for pictures in shared memory (%s), sending them instead; "
                    "enlarge %s (`shm_size` of a container) to speed this up",
                    error.strerror,
                    SHARED,
                )
        return Slot.private(self._images)


@contextmanager
def probe() -> Iterator[Region | None]:
    """Lend a small region to try whether the server sees it; None where there is none."""
    region = None
    with suppress(OSError):
        region = Region(mmap.PAGESIZE)
    try:
        yield region
    finally:
        if region is not None:
            region.close()
