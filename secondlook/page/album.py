"""The pictures of alerts, bounded by their bytes; the oldest goes first. No I/O."""

from collections.abc import Container

from secondlook.jpeg import comment_of

MOST_BYTES = 64_000_000
"""Some hundred pictures of 1280 pixels' width."""


class Album:
    """Pictures by their snapshot id.

    Args:
        most_bytes: Of all pictures together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._pictures: dict[str, bytes] = {}
        self._newest: dict[str, str] = {}
        self._bytes = 0

    def add(self, camera: str, jpeg: bytes) -> str | None:
        """Keep a picture of a camera; return its id, None if it has none."""
        snapshot_id = comment_of(jpeg)
        if not snapshot_id or len(jpeg) > self._most:
            return None
        self.remove(snapshot_id)
        self._pictures[snapshot_id] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > self._most:
            self.remove(next(iter(self._pictures)))
        self._newest[camera] = snapshot_id
        return snapshot_id

    def __contains__(self, snapshot_id: str) -> bool:
        return snapshot_id in self._pictures

    def get(self, snapshot_id: str) -> bytes | None:
        """Return a picture as JPEG."""
        return self._pictures.get(snapshot_id)

    def newest(self, camera: str) -> str | None:
        """Return the id of the picture that a camera sent last, if it is still here."""
        snapshot_id = self._newest.get(camera, "")
        return snapshot_id if snapshot_id in self._pictures else None

    def forget(self, camera: str) -> None:
        """Forget that a camera has a newest picture; it was deleted."""
        self.remove(self._newest.pop(camera, ""))

    def keep_only(self, wanted: Container[str]) -> None:
        """Remove what nobody asks for: pictures that a later one of their alert replaced."""
        kept = set(self._newest.values())
        for snapshot_id in [each for each in self._pictures if each not in kept]:
            if snapshot_id not in wanted:
                self.remove(snapshot_id)

    def remove(self, snapshot_id: str) -> None:
        """Remove a picture, if it is here."""
        self._bytes -= len(self._pictures.pop(snapshot_id, b""))
