"""Which frames to keep, so that `fps` of them pass. No clock: each frame brings its time."""

from dataclasses import dataclass, field

SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Pace:
    """Keeps the frames nearest to a grid of 1/fps seconds.

    The grid stands from the first frame of a run, so errors do not add up: over any time
    the number kept is that time's number of grid points, however uneven the frames come.
    """

    fps: float
    early: float = 0.25
    """The part of an interval by which a frame may come before its grid point, if no later
    frame is likely to come closer to it.

    Without it a camera that sends exactly `fps`, a little unevenly, would lose every frame
    that comes a millisecond early."""
    _start_ns: int | None = None
    _last_ns: int = 0
    _next: int = 0
    """The number of the first grid point that has no frame yet."""
    _interval_ns: float = field(init=False)

    def __post_init__(self) -> None:
        self._interval_ns = SECOND_NS / self.fps

    def keep(self, media_ns: int) -> bool:
        """Return whether to keep the frame at `media_ns`."""
        if self._start_ns is None:
            self._start_ns = self._last_ns = media_ns
        half_gap = (media_ns - self._last_ns) / 2 / self._interval_ns
        self._last_ns = media_ns
        # Counted from the start, never added up: a sum of rounded intervals would drift.
        at = (media_ns - self._start_ns) / self._interval_ns
        reached = int(at + min(self.early, half_gap))
        if reached < self._next:
            return False
        # Grid points that passed without a frame are not made up for.
        self._next = reached + 1
        return True

    def restart(self) -> None:
        """Forget the grid: a new run begins."""
        self._start_ns = None
        self._next = 0
