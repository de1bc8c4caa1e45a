"""Looks, and which of them open an episode. Knows no tracks, no clock, no alerts."""

from collections.abc import Sequence

from secondlook.config import Alerts
from secondlook.messages import (
    Box,
    Classified,
    Decision,
    Detected,
    FrameRef,
    Latency,
    Outcome,
    Part,
    Score,
    Slug,
    Text,
    TrackId,
)

SECOND = 1_000_000_000


class Instant(Part):
    """A moment of a camera, on both of its clocks."""

    run: str
    media_ns: int
    captured_ns: int

    def since(self, earlier: "Instant") -> int:
        """Return the nanoseconds between two moments, negative when `earlier` is later.

        Media time where both belong to one run, else the wall clock.
        """
        if self.run == earlier.run:
            return self.media_ns - earlier.media_ns
        return self.captured_ns - earlier.captured_ns


class Look(Part):
    """One crop judged, or one that waits while the model is silent (`classifier` is None)."""

    id: Text
    """The crop's id."""
    track: TrackId
    frame: FrameRef
    box: Box
    detector: Detected
    classifier: Classified | None
    outcome: Outcome
    label: Slug
    """The best label, as it stands in topics."""
    score: Score
    latency: Latency
    late: bool = False

    @property
    def at(self) -> Instant:
        """When the frame was captured."""
        return Instant(
            run=self.frame.run, media_ns=self.frame.media_ns, captured_ns=self.frame.captured_ns
        )

    @property
    def area(self) -> int:
        """Pixels of the detection."""
        return self.box.width * self.box.height


def opening(looks: Sequence[Look], place: int, rule: Alerts) -> list[Look] | None:
    """Return the looks that open an episode now that the one at `place` has come, or None.

    These are the last `n` looks at some moment, all within `within_s`, of which `k` are
    confirmed. A late look takes its place among those that came before it, so every window
    that holds it is tried, the earliest first.

    Args:
        looks: The looks of one track, by `media_ns`.
        place: Index of the new one.
        rule: `k`, `n` and `within_s` are read.
    """
    within_ns = round(rule.within_s * SECOND)
    for end in range(place, min(place + rule.n, len(looks))):
        first = max(0, end - rule.n + 1)
        newest = looks[end].frame.media_ns
        while newest - looks[first].frame.media_ns > within_ns:
            first += 1
        if first > place:
            break
        window = list(looks[first : end + 1])
        if sum(look.outcome == "confirmed" for look in window) >= rule.k:
            return window
    return None


def gathered(
    looks: Sequence[Look], place: int, rule: Alerts, since: Instant | None
) -> list[Look] | None:
    """Return the looks by which another alert label has gathered `k` confirmed ones, or None.

    The label is that of the look at `place`; looks up to `since` have been counted before.
    """
    label = looks[place].label
    fresh = [
        look.model_copy(update={"outcome": "uncertain"})
        if look.label != label or (since is not None and look.at.since(since) <= 0)
        else look
        for look in looks
    ]
    window = opening(fresh, place, rule)
    if window is None:
        return None
    ids = {look.id for look in window}
    return [look for look in looks if look.id in ids]


def label_of(window: Sequence[Look], rule: Alerts) -> str:
    """Return the alert label with the largest summed score; of equals the first in the rule."""
    sums = dict.fromkeys(rule.labels, 0.0)
    for look in window:
        if look.outcome == "confirmed":
            sums[look.label] += look.score
    return max(sums, key=lambda label: sums[label])


def best_of(window: Sequence[Look], label: str) -> Look:
    """Return the confirmed look with the best score for a label; of equals the newest."""
    ours = [look for look in window if look.outcome == "confirmed" and look.label == label]
    return max(ours, key=lambda look: (look.score, look.frame.media_ns))


def decision_of(window: Sequence[Look], rule: Alerts) -> Decision:
    """Return the rule and the votes, for people."""
    outcomes = [look.outcome for look in window]
    return Decision(
        rule=f"{rule.k} of {rule.n} looks within {rule.within_s:.1f} s",
        confirmed=outcomes.count("confirmed"),
        rejected=outcomes.count("rejected"),
        uncertain=outcomes.count("uncertain"),
    )
