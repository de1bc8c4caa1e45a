"""Between the thread that reads a source and the one that looks at its pictures. No clock."""

import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from producers.reports import Complaint, Ended, Gone, Opened, Opening


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture fresh from the source."""

    image: NDArray[np.uint8]
    """uint8 [height, width, 3], BGR."""
    captured_ns: int
    """Unix time."""
    media_ns: int
    """Time within the run."""


Item = Picture | Opening | Opened | Gone | Ended | Complaint | BaseException


class Handover:
    """Keeps what happened in order, and at most one picture.

    A live source's newer picture takes the place of an unread one; any other source waits.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()

    def put(self, item: Item, *, newest_wins: bool = False) -> bool:
        """Hand over; return whether an unread picture was replaced."""
        with self._changed:
            if not isinstance(item, Picture):
                self._append(item)
                return False
            if newest_wins:
                replaced = bool(self._items) and isinstance(self._items[-1], Picture)
                if replaced:
                    self._items.pop()
                self._append(item)
                return replaced
            self._changed.wait_for(lambda: not self._items)
            self._append(item)
            return False

    def take(self, timeout_s: float) -> Item | None:
        """Return the oldest item; None when nothing came in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout_s):
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._changed.notify_all()


class Tally:
    """Counts of both threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[name] += 1

    def take(self) -> Counter[str]:
        """Return the counts since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts
