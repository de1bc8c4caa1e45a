"""How many things happen in a second, of late. No clock: each is told when it happens."""

from collections import deque
from dataclasses import dataclass, field

OVER_S = 10.0
"""As often as numbers are told: two in a row never count the same frames."""


@dataclass(slots=True)
class Rate:
    """Counts over the last ten seconds."""

    _times_s: deque[float] = field(default_factory=deque)

    def tell(self, now_s: float) -> None:
        """Note that it happened."""
        self._times_s.append(now_s)
        self._forget(now_s)

    def per_s(self, now_s: float) -> float:
        """Return how often a second it happened, to one decimal."""
        self._forget(now_s)
        return round(len(self._times_s) / OVER_S, 1)

    def _forget(self, now_s: float) -> None:
        while self._times_s and self._times_s[0] <= now_s - OVER_S:
            self._times_s.popleft()
