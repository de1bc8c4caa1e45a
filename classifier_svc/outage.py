"""Whether the model answers, and which crops waited because it did not. Told the time."""

from dataclasses import dataclass

LATE_NS = 5_000_000_000
"""An alert whose frame is older than this when it is decided is late, whatever the reason."""
PATIENCE = 2
"""Failed calls in a row after which the model counts as away."""


@dataclass(slots=True)
class Outage:
    """The model's silence, if there is one."""

    since_s: float | None = None
    """When the first call failed, on a clock that only goes forward."""
    told: bool = False
    """Whether `model_down` has been said."""
    held_seq: int = 0
    """The newest crop that has waited through a silence."""
    _failures: int = 0

    def failed(self, now_s: float, newest_seq: int) -> bool:
        """Note a failed call; return whether the model counts as away from now on."""
        self._failures += 1
        if self.since_s is None:
            self.since_s = now_s
        if self._failures < PATIENCE:
            return False
        self.held_seq = max(self.held_seq, newest_seq)
        if self.told:
            return False
        self.told = True
        return True

    def answered(self) -> bool:
        """Note an answer; return whether the model had been away until now."""
        back, self.told = self.told, False
        self.since_s, self._failures = None, 0
        return back

    def silent_s(self, now_s: float) -> float:
        """Return for how long the model has been silent; 0 while it answers."""
        return 0.0 if self.since_s is None else now_s - self.since_s

    def is_late(self, seq: int, captured_ns: int, now_ns: int) -> bool:
        """Tell whether what is decided now about a crop comes late."""
        return seq <= self.held_seq or now_ns - captured_ns > LATE_NS
