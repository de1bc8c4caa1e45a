"""What waits for a verdict: in which order it is taken, and what is shed. No I/O, no clock."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from secondlook.messages import Seen, TrackEnded

MAX_MARKERS = 10_000
"""Per camera; they come once a second, and may wait as long as crops do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A crop that waits (its pixels lie in the database), or a marker behind crops."""

    key: str
    kind: Literal["crop", "ended", "seen"]
    camera: str
    track: str
    captured_ns: int
    received_ns: int
    seq: int
    """Its row in the inbox; 0 for what is not stored."""
    marker: TrackEnded | Seen | None = None


class Waiting:
    """The entries of all cameras, each camera's in the order they came."""

    def __init__(self) -> None:
        self._lines: dict[str, OrderedDict[str, Entry]] = {}
        self._crops = 0

    def __len__(self) -> int:
        """Return how many crops wait."""
        return self._crops

    def add(self, entry: Entry) -> None:
        """Put an entry at the end of its camera's line."""
        line = self._lines.setdefault(entry.camera, OrderedDict())
        line[entry.key] = entry
        self._crops += entry.kind == "crop"
        if entry.kind == "seen" and len(line) > MAX_MARKERS:
            oldest = next((e for e in line.values() if e.kind == "seen"), entry)
            self.remove([oldest])

    def remove(self, entries: Iterable[Entry]) -> None:
        """Take entries out: they have been decided or shed."""
        for entry in entries:
            if self._lines.get(entry.camera, OrderedDict()).pop(entry.key, None) is not None:
                self._crops -= entry.kind == "crop"

    def crops(self) -> list[Entry]:
        """Return all crops, the earliest received first."""
        found = [e for line in self._lines.values() for e in line.values() if e.kind == "crop"]
        return sorted(found, key=lambda entry: entry.seq)

    def tracks(self) -> set[str]:
        """Return the tracks of which crops wait."""
        return {e.track for line in self._lines.values() for e in line.values() if e.kind == "crop"}

    def next_crops(self, limit: int, is_urgent: Callable[[Entry], bool]) -> list[Entry]:
        """Return the crops to judge next, urgent ones first; they stay until removed.

        All crops of a track are equally urgent, so each track's are judged in order.
        """
        ordered = sorted(self.crops(), key=lambda entry: not is_urgent(entry))
        return ordered[:limit]

    def ready_markers(self) -> list[Entry]:
        """Return the markers with no crop of their camera before them; they stay until removed.

        What a marker says (a track is over, everything up to here was seen) is true only when
        the crops that came before it have been judged.
        """
        ready = []
        for line in self._lines.values():
            for entry in line.values():
                if entry.kind == "crop":
                    break
                ready.append(entry)
        return ready

    def overdue(self, before_ns: int) -> list[Entry]:
        """Return the crops captured before a Unix time."""
        return [entry for entry in self.crops() if entry.captured_ns < before_ns]

    def excess(self, most: int, is_urgent: Callable[[Entry], bool]) -> list[Entry]:
        """Return the crops beyond a number: the least urgent, of these the oldest."""
        over = len(self) - most
        if over <= 0:
            return []
        return sorted(self.crops(), key=is_urgent)[:over]
