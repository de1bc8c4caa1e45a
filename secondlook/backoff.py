"""How long to wait before the next attempt. No clock and no sleeping: the caller waits."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first_s` up to `longest_s`, each shortened at random by up to half.

    The random part keeps many clients from knocking at the same moment
    ("equal jitter": M. Brooker, Exponential Backoff And Jitter, 2015).
    """

    first_s: float = 0.2
    longest_s: float = 5.0
    chance: random.Random = field(default_factory=random.Random)
    _attempts: int = 0

    def next_s(self) -> float:
        """Return the seconds to wait before the next attempt."""
        # The exponent is bounded, or a night without a broker would overflow a float.
        whole = min(self.longest_s, self.first_s * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return whole * (0.5 + 0.5 * self.chance.random())

    def reset(self) -> None:
        """Begin again with the shortest wait: the last attempt succeeded."""
        self._attempts = 0
