"""Whether a camera is online, and whether its capture process hangs. No clock, no processes."""

from dataclasses import dataclass

from producers.reports import (
    Blind,
    Captured,
    Counted,
    Ended,
    Gone,
    Opened,
    Opening,
    Report,
    Seeing,
)

STALL_S = 3.0
STALL_FRAMES = 3
OPENING_S = 20.0
"""Opening a source, up to its first picture, has time-outs of its own that are shorter."""
STARTING_S = 30.0
"""An interpreter with OpenCV starts in half a second; not so on a machine that is too busy."""
SILENT_S = 10.0
"""A capture process says something every half second, whatever its source does."""


@dataclass(slots=True)
class Watch:
    """What is known of one camera; told the time with everything that happens."""

    fps: float
    online: bool = False
    why: str = ""
    """Why it is offline."""
    ended: bool = False
    _deadline_s: float = float("inf")
    _overdue: str = ""
    _silent_s: float = float("inf")
    _stall_s: float = STALL_S

    def started(self, now_s: float) -> None:
        """A capture process starts."""
        self._expect(now_s + STARTING_S, "its capture process does not start")
        self._silent_s = now_s + STARTING_S

    def heard(self, report: Report, now_s: float) -> None:
        """The capture process said something."""
        self._silent_s = now_s + SILENT_S
        match report:
            case Opening():
                self._expect(now_s + OPENING_S, "opening it takes too long")
            case Opened():
                self._opened(report, now_s)
            case Captured():
                self._flows(now_s)
                self._set(True)
            case Counted() if report.seen:
                self._flows(now_s)
            case Seeing():
                self._set(True)
            case Blind():
                self._set(False, report.why)
            case Gone() | Ended():
                self.ended = isinstance(report, Ended)
                self._expect(float("inf"))  # it waits before it tries again
                self._set(False, report.why)
            case _:
                pass

    def died(self, why: str) -> None:
        """There is no capture process any more."""
        self._expect(float("inf"))
        self._silent_s = float("inf")
        self._set(False, why)

    def overdue(self, now_s: float) -> str | None:
        """Return why the capture process should be killed, or None."""
        if self.ended:
            return None
        if now_s >= self._deadline_s:
            return self._overdue
        if now_s >= self._silent_s:
            return "its capture process hangs"
        return None

    def _opened(self, report: Opened, now_s: float) -> None:
        slower = min(self.fps, report.fps or self.fps)
        self._stall_s = max(STALL_S, STALL_FRAMES / slower)
        # The first picture needs a keyframe.
        self._expect(now_s + max(OPENING_S, self._stall_s), "it was opened and sends no picture")

    def _flows(self, now_s: float) -> None:
        self._expect(now_s + self._stall_s, f"no picture for {self._stall_s:g} s")

    def _expect(self, by_s: float, otherwise: str = "") -> None:
        self._deadline_s, self._overdue = by_s, otherwise

    def _set(self, online: bool, why: str = "") -> None:
        self.online, self.why = online, why
