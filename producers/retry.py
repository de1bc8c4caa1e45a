"""When to try a source again. No clock: the caller says what time it is."""

from dataclasses import dataclass, field

from secondlook.backoff import Backoff

EVERY_S = 1.0
PATIENCE_S = 600.0
"""So long a camera that is away is asked every second; then less and less often."""


@dataclass(slots=True)
class Retry:
    """Asks each second, unless that would lock us out or has been in vain for long.

    Many cameras block an address that sends wrong passwords; none minds a knock on its port.
    """

    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=5.0, longest_s=60.0))
    _since_s: float | None = None

    def failed(self, now_s: float, *, refused: bool) -> float:
        """Note a failed attempt; return the seconds to wait before the next one."""
        if self._since_s is None:
            self._since_s = now_s
        if refused or now_s - self._since_s > PATIENCE_S:
            return self.backoff.next_s()
        return EVERY_S

    def succeeded(self) -> None:
        """Note that a picture came."""
        self._since_s = None
        self.backoff.reset()
