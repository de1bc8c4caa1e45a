"""What waits for a verdict: in which order it is taken, and what is shed. No I/O, no clock.

Cameras take turns, whatever each of them sends. Of one camera's crops those of new tracks and
open episodes go first, of these the tracks that were heard of last: what happens now is worth
more than what has waited. A camera that sends too much sheds its own crops, no other's.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
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
    size: int = 0
    """Bytes of its row."""
    until_s: float = math.inf
    """When it is too old to be judged, on a clock that only goes forward."""


class Waiting:
    """The entries of all cameras, each camera's in the order they came."""

    def __init__(self) -> None:
        # The camera that was served longest ago comes first.
        self._lines: OrderedDict[str, OrderedDict[str, Entry]] = OrderedDict()
        self._crops = 0
        self.size_bytes = 0
        """Of all rows."""

    def __len__(self) -> int:
        """Return how many crops wait."""
        return self._crops

    def add(self, entry: Entry) -> None:
        """Put an entry at the end of its camera's line."""
        line = self._lines.setdefault(entry.camera, OrderedDict())
        line[entry.key] = entry
        self._crops += entry.kind == "crop"
        self.size_bytes += entry.size
        if entry.kind == "seen" and len(line) > MAX_MARKERS:
            oldest = next((e for e in line.values() if e.kind == "seen"), entry)
            self.remove([oldest])

    def remove(self, entries: Iterable[Entry]) -> None:
        """Take entries out: they have been decided or shed."""
        for entry in entries:
            known = self._lines.get(entry.camera, OrderedDict()).pop(entry.key, None)
            if known is None:
                continue
            self.size_bytes -= known.size
            if entry.kind == "crop":
                self._crops -= 1
                self._lines.move_to_end(entry.camera)

    def strangers(self, cameras: Container[str]) -> list[Entry]:
        """Return everything of other cameras than these."""
        lines = (line for camera, line in self._lines.items() if camera not in cameras)
        return [entry for line in lines for entry in line.values()]

    def crops(self) -> list[Entry]:
        """Return all crops, the earliest received first."""
        found = [e for line in self._lines.values() for e in line.values() if e.kind == "crop"]
        return sorted(found, key=lambda entry: entry.seq)

    def tracks(self) -> set[str]:
        """Return the tracks of which crops wait."""
        return {e.track for line in self._lines.values() for e in line.values() if e.kind == "crop"}

    def next_crops(self, limit: int, is_urgent: Callable[[Entry], bool]) -> list[Entry]:
        """Return the crops to judge next; they stay until removed.

        Each camera in turn gives one: all urgent ones before any other. A track's crops are
        all equally urgent, and are taken in order.
        """
        urgent, routine = [], []
        for line in self._lines.values():
            crops = [entry for entry in line.values() if entry.kind == "crop"]
            newest = {entry.track: entry.seq for entry in crops}
            crops.sort(key=lambda entry: (-newest[entry.track], entry.seq))
            urgent.append([entry for entry in crops if is_urgent(entry)])
            routine.append([entry for entry in crops if not is_urgent(entry)])
        return [*chain(_in_turn(urgent), _in_turn(routine))][:limit]

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

    def overdue(self, now_s: float) -> list[Entry]:
        """Return the crops that are too old to be judged."""
        return [entry for entry in self.crops() if entry.until_s <= now_s]

    def excess(
        self, most: int, most_bytes: float, is_urgent: Callable[[Entry], bool]
    ) -> list[Entry]:
        """Return the crops beyond a number or a size.

        Those of the camera that has most of them: the least urgent, of these the oldest.
        """
        over, over_bytes = len(self) - most, self.size_bytes - most_bytes
        if over <= 0 and over_bytes <= 0:
            return []
        crops: dict[str, list[Entry]] = {}
        for entry in sorted(self.crops(), key=is_urgent):
            crops.setdefault(entry.camera, []).append(entry)
        left = Counter({camera: len(entries) for camera, entries in crops.items()})
        sizes = Counter({camera: sum(e.size for e in each) for camera, each in crops.items()})
        shed: list[Entry] = []
        while (over > 0 or over_bytes > 0) and left.total():
            # Whatever there is too much of: crops, or bytes.
            measure = left if over > 0 else sizes
            camera = max(crops, key=lambda name: (measure[name], left[name]))
            entry = crops[camera][-left[camera]]
            left[camera] -= 1
            sizes[camera] -= entry.size
            over, over_bytes = over - 1, over_bytes - entry.size
            shed.append(entry)
        return shed


def _in_turn(lines: Iterable[Iterable[Entry]]) -> Iterator[Entry]:
    """Yield the first of each line, then the second of each, and so on."""
    return (entry for row in zip_longest(*lines) for entry in row if entry is not None)
