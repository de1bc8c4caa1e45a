"""How many pictures to take to a model at once. Told how long calls took; no clock."""

EASY = 1 / 3
"""A call that took less than this part of the deadline leaves room for twice as many pictures."""


class Portion:
    """A size that follows what the model can do in time.

    On a machine with too much to do a whole batch may never be answered before the deadline, and
    while it is tried again and again more pictures come: fewer of them would get through.

    Args:
        most: Pictures per call at best.
        deadline_s: When a call is given up.
    """

    def __init__(self, most: int, deadline_s: float) -> None:
        self.size = most
        self._most = most
        self._easy_s = deadline_s * EASY

    def answered(self, seconds: float) -> None:
        """Note how long a call took that was answered."""
        if seconds < self._easy_s:
            self.size = min(self._most, 2 * self.size)

    def given_up(self, tried: int) -> None:
        """Note that so many pictures were not answered in time; of one alone, nothing follows."""
        if tried > 1:
            self.size = tried // 2
