"""Which frame of a camera to show: one that was judged, so that boxes fit it, else the newest.

Pure: told of frames and looks, asked for candidates.
"""

from collections import OrderedDict, deque

from secondlook.messages import FrameRef

KEPT = 100
"""Frames of a camera that are remembered: their store keeps fewer."""
JUDGED_WITHIN_NS = 1_500_000_000
"""A judged frame is shown in place of the newest while it is not much older."""
RATE_OVER_S = 5.0


class Frames:
    """The frames of one camera that were announced lately."""

    def __init__(self) -> None:
        self._refs: OrderedDict[str, FrameRef] = OrderedDict()
        self._judged: str | None = None
        self._came_s: deque[float] = deque()

    def came(self, ref: FrameRef, now_s: float) -> None:
        """Note a frame, and when it was announced (monotonic seconds)."""
        self._refs[ref.id] = ref
        if len(self._refs) > KEPT:
            self._refs.popitem(last=False)
        self._came_s.append(now_s)
        self._forget(now_s)

    def judged(self, frame_id: str) -> None:
        """Note that there are looks at a frame."""
        if frame_id in self._refs:
            self._judged = frame_id

    def candidates(self) -> list[FrameRef]:
        """Return frames worth showing, the best first; their pixels may be gone."""
        if not self._refs:
            return []
        newest = next(reversed(self._refs.values()))
        judged = self._refs.get(self._judged or "")
        if judged is None or newest.captured_ns - judged.captured_ns > JUDGED_WITHIN_NS:
            return [newest]
        return [judged, newest]

    def rate(self, now_s: float) -> float:
        """Return the frames per second of the last seconds."""
        self._forget(now_s)
        return len(self._came_s) / RATE_OVER_S

    def _forget(self, now_s: float) -> None:
        while self._came_s and self._came_s[0] <= now_s - RATE_OVER_S:
            self._came_s.popleft()
