"""Who of the services has stopped giving signs of life. Pure: told of each beat, and the time.

A broker says `offline` for a client whose connection breaks. One that is frozen keeps its
connection, and is noticed by its silence alone; mosquitto before 2.1 looks for that every five
seconds only, and never finds a service that hangs while its network thread lives on. So every
service gives a beat each second, and the others say `offline` for one that stops.

Nobody is judged by the clock: a service also hears its own beats, through the same broker, and
looks for the others only when its own comes back in time. When broker, network or the service
itself stood still, everybody begins anew.
"""

from collections.abc import Collection, Mapping

EVERY_S = 1.0
"""Between two beats."""
LATE_S = 2.0
"""A longer time between two beats of our own, as they come back: we could not hear."""
SILENT_S = 4.0
"""Who has been silent for longer is offline: noticed after three to five seconds."""
WATCHED: Mapping[str, tuple[str, ...]] = {
    "classifier": ("producers", "detector"),
    "detector": ("classifier",),
}
"""By the service that watches: those for which it says `offline`."""


class Beats:
    """What one service hears.

    Args:
        me: The service.
        watched: Those it watches.
    """

    def __init__(self, me: str, watched: Collection[str]) -> None:
        self._me = me
        self._watched = watched
        self._mine_s: float | None = None
        self._last_s: dict[str, float] = {}
        """Of those that are alive. Who has never given a beat may be of a version that gives
        none, and is left to the broker."""

    def heard(self, service: str, now_s: float) -> list[str]:
        """Take a beat; return who is offline from now on, each once.

        Args:
            service: Who gave it.
            now_s: A monotonic time.
        """
        if service != self._me:
            if service in self._watched:
                self._last_s[service] = now_s
            return []
        late = self._mine_s is None or now_s - self._mine_s > LATE_S
        self._mine_s = now_s
        if late:
            self._last_s = dict.fromkeys(self._last_s, now_s)
        silent = [each for each, last_s in self._last_s.items() if now_s - last_s > SILENT_S]
        for each in silent:
            del self._last_s[each]
        return silent

    def gone(self, service: str) -> None:
        """Take that a service is offline: nobody needs to find that out."""
        self._last_s.pop(service, None)
