"""What the page shows, entry by entry, and which of them each viewer has not been told yet.

Nothing queues: what changed twice while a viewer was slow is told once, as it is by then.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import JsonValue

Part = Literal["about", "broker", "services", "cameras", "alerts", "looks", "blind"]
Patch = dict[str, dict[str, JsonValue]]
"""New values by part and name; null: it is gone."""


class Viewer:
    """One who looks: knows what has changed since it was last told.

    Args:
        entries: What there is to see.
        wake: Called when there is something to tell.
    """

    def __init__(self, entries: "Entries", wake: Callable[[], None]) -> None:
        self._entries = entries
        self._wake = wake
        # A dict for its order: what changed first is told first.
        self._changed: dict[tuple[Part, str], None] = dict.fromkeys(entries.keys())

    def note(self, part: Part, name: str) -> None:
        """Remember that an entry has changed."""
        self._changed[part, name] = None
        self._wake()

    def take(self) -> Patch:
        """Return what has changed, as it is now; it counts as told."""
        patch: Patch = {}
        for part, name in self._changed:
            patch.setdefault(part, {})[name] = self._entries.get(part, name)
        self._changed.clear()
        return patch


class Entries:
    """The entries of all parts.

    Args:
        most: How many a part keeps; the one that comes first in order goes first.
    """

    def __init__(self, most: Mapping[Part, int]) -> None:
        self._most = most
        self._parts: dict[Part, dict[str, tuple[float, JsonValue]]] = {}
        self._viewers: set[Viewer] = set()

    def put(self, part: Part, name: str, value: JsonValue, order: float = 0.0) -> list[str]:
        """Set an entry; return the names of those that had to make room.

        Args:
            part: Where it belongs.
            name: Its name in the part.
            value: What the browser gets.
            order: The least goes first when the part is full.
        """
        entries = self._parts.setdefault(part, {})
        if name in entries and entries[name][1] == value:
            return []
        entries[name] = (order, value)
        self._tell(part, name)
        dropped = []
        while len(entries) > self._most.get(part, len(entries)):
            first = min(entries, key=lambda known: entries[known][0])
            dropped.append(first)
            self.drop(part, first)
        return dropped

    def drop(self, part: Part, name: str) -> None:
        """Remove an entry, if it is there."""
        if self._parts.get(part, {}).pop(name, None) is not None:
            self._tell(part, name)

    def get(self, part: Part, name: str) -> JsonValue:
        """Return an entry; None if there is none."""
        return self._parts.get(part, {}).get(name, (0.0, None))[1]

    def keys(self) -> list[tuple[Part, str]]:
        """Return the part and the name of every entry."""
        return [(part, name) for part, entries in self._parts.items() for name in entries]

    def viewer(self, wake: Callable[[], None]) -> Viewer:
        """Return a new viewer, to whom everything is new."""
        viewer = Viewer(self, wake)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._viewers.discard(viewer)

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    def _tell(self, part: Part, name: str) -> None:
        for viewer in self._viewers:
            viewer.note(part, name)
