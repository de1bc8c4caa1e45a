"""How old something is by the wall clock, also when that clock was set meanwhile. Told the time.

A clock that is set forward by an hour (NTP after a start without a battery, a machine that
slept) makes everything from before look an hour older than it is. Told the wall clock and a
steady one, this sees the step and takes it out again.
"""

from collections import deque

STEP_NS = 2_000_000_000
"""Two clocks that differ by more than before by this much: one of them was set."""
REMEMBERED = 16


class Wall:
    """The steps of the wall clock so far."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._steps: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        """For each step forward what the clock would have shown without it, and by how much."""

    def tell(self, wall_ns: int, steady_ns: int) -> None:
        """Take both clocks' time, whenever there is an occasion."""
        if self._last is not None:
            expected_ns = self._last[0] + steady_ns - self._last[1]
            if wall_ns - expected_ns > STEP_NS:
                self._steps.append((expected_ns, wall_ns - expected_ns))
        self._last = (wall_ns, steady_ns)

    def age_ns(self, then_ns: int, wall_ns: int) -> int:
        """Return how long ago a Unix time was, without the steps since; never negative."""
        age_ns = wall_ns - then_ns
        for before_ns, step_ns in self._steps:
            if then_ns <= before_ns:
                age_ns -= step_ns
        return max(0, age_ns)

    def before_ns(self, age_ns: int, wall_ns: int) -> int:
        """Return the Unix time as it was shown so long ago."""
        then_ns = wall_ns - age_ns
        for before_ns, step_ns in reversed(self._steps):
            if then_ns < before_ns + step_ns:
                then_ns -= step_ns
        return then_ns
