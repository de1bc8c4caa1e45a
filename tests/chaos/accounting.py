"""Who should have been told of what, and was. Pure: times are Unix nanoseconds."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from secondlook.messages import Alert, Blind, Verdict
from tests.chaos.truth import SECOND, Visit

NEAR_NS = SECOND
"""A card is recognised a little before and after it is well in view."""
BLIND_EXCESS_S = 10.0
Fate = Literal["alerted", "lost", "excused"]


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault as it was."""

    number: int
    component: str
    kind: str
    at_ns: int
    over_ns: int
    """When it was killed, or thawed."""
    recovered_ns: int | None
    load: float
    """Of the machine, over the last minute, divided by its cores."""

    @property
    def recovery_s(self) -> float | None:
        """Seconds from the kill or the thaw until everything worked again."""
        return None if self.recovered_ns is None else (self.recovered_ns - self.over_ns) / SECOND


@dataclass(frozen=True, slots=True)
class Span:
    """A blind time."""

    camera: str
    from_ns: int
    to_ns: int
    why: str

    @classmethod
    def of(cls, blind: Blind) -> "Span":
        """Return the span that a message tells."""
        return cls(blind.camera, unix_ns(blind.from_), unix_ns(blind.to), blind.why)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a visit."""

    visit: Visit
    fate: Fate
    how: str
    """For an alert: `new`, `update` (the episode went on or was opened again) or `continued`."""
    ids: tuple[str, ...] = ()
    """The alerts with event `new` that show this visit."""
    watched: int = 0
    """The most frames in a row that no blind record covers."""


@dataclass(slots=True)
class Account:
    """The books of a run."""

    outcomes: list[Outcome] = field(default_factory=list)
    second_ids: list[Outcome] = field(default_factory=list)
    strangers: list[Alert] = field(default_factory=list)
    """`new` alerts that show no visit."""
    long_blind: list[tuple[Span, float]] = field(default_factory=list)
    """Blind records, and by how many seconds too much they exceed the outages."""

    def count(self, fate: Fate) -> int:
        """Return how many visits met it."""
        return sum(outcome.fate == fate for outcome in self.outcomes)


def unix_ns(moment: object) -> int:
    """Return a datetime as Unix nanoseconds, to the microsecond."""
    return round(moment.timestamp() * 1_000_000) * 1000  # type: ignore[attr-defined, no-any-return]


def settle(  # noqa: PLR0917 - the books need all of them
    visits: Sequence[Visit],
    alerts: Sequence[Alert],
    verdicts: Sequence[Verdict],
    spans: Sequence[Span],
    outages: Sequence[Outage],
    needed: int,
) -> Account:
    """Compare what was there with what was told.

    Args:
        visits: What should have alerted.
        alerts: What the subscriber holds, each (id, sequence) once.
        verdicts: Of an open episode that goes on, no message need tell; a verdict names it.
        spans: The blind records.
        outages: All faults.
        needed: Frames in a row, seen by nobody's account as blind, in which the detector takes
            enough looks for the rule. Fewer excuse an alert that did not come.
    """
    account = Account()
    for visit in visits:
        outcome = _outcome(visit, alerts, verdicts, spans, needed)
        account.outcomes.append(outcome)
        if len(outcome.ids) > 1 and not _blind_between(outcome, alerts, spans):
            account.second_ids.append(outcome)
    known = {alert_id for outcome in account.outcomes for alert_id in outcome.ids}
    account.strangers = [a for a in alerts if a.event == "new" and a.id not in known]
    for span in spans:
        excess_s = beyond(span, outages) / SECOND
        if excess_s > BLIND_EXCESS_S:
            account.long_blind.append((span, excess_s))
    return account


def _outcome(
    visit: Visit,
    alerts: Sequence[Alert],
    verdicts: Sequence[Verdict],
    spans: Sequence[Span],
    needed: int,
) -> Outcome:
    mine = [alert for alert in alerts if _shows(visit, alert)]
    ids = tuple(dict.fromkeys(alert.id for alert in mine if alert.event == "new"))
    watched = longest_watched(visit, spans)
    if ids:
        return Outcome(visit, "alerted", "new", ids, watched)
    if any(alert.event == "update" for alert in mine):
        return Outcome(visit, "alerted", "update", ids, watched)
    labels = {alert.id: alert.label for alert in alerts}
    if any(_names(visit, verdict, labels) for verdict in verdicts):
        return Outcome(visit, "alerted", "continued", ids, watched)
    return Outcome(visit, "excused" if watched < needed else "lost", "", ids, watched)


def _shows(visit: Visit, alert: Alert) -> bool:
    same = alert.camera == visit.camera and alert.label == visit.label
    at_ns = unix_ns(alert.frame.captured_at)
    return same and near(visit, at_ns) and visit.is_at(at_ns, alert.box)


def _names(visit: Visit, verdict: Verdict, labels: dict[str, str]) -> bool:
    """Tell whether a verdict says that this visit belongs to an episode that was told."""
    return (
        verdict.camera == visit.camera
        and verdict.outcome == "confirmed"
        and labels.get(verdict.episode or "") == visit.label
        and near(visit, unix_ns(verdict.frame.captured_at))
        and visit.is_at(unix_ns(verdict.frame.captured_at), verdict.box)
    )


def near(visit: Visit, at_ns: int) -> bool:
    """Tell whether a frame of that moment shows the visit."""
    return visit.start_ns - NEAR_NS <= at_ns <= visit.end_ns + NEAR_NS


def longest_watched(visit: Visit, spans: Sequence[Span]) -> int:
    """Return the most frames in a row that no blind record covers."""
    mine = [span for span in spans if span.camera == visit.camera]
    longest = row = 0
    for at_ns in visit.frames_ns:
        blind = any(span.from_ns <= at_ns <= span.to_ns for span in mine)
        row = 0 if blind else row + 1
        longest = max(longest, row)
    return longest


def _blind_between(outcome: Outcome, alerts: Sequence[Alert], spans: Sequence[Span]) -> bool:
    """Tell whether a blind record lies between every two `new` of a visit."""
    moments = sorted(
        unix_ns(alert.frame.captured_at)
        for alert in alerts
        if alert.event == "new" and alert.id in outcome.ids
    )
    return all(
        any(span.from_ns < later and span.to_ns > earlier for span in spans)
        for earlier, later in itertools.pairwise(moments)
    )


def beyond(span: Span, outages: Sequence[Outage]) -> int:
    """Return the nanoseconds of a blind record that lie in no outage."""
    left = [(span.from_ns, span.to_ns)]
    for outage in outages:
        begin, end = outage.at_ns, max(outage.over_ns, outage.recovered_ns or outage.over_ns)
        left = [
            part
            for from_ns, to_ns in left
            for part in ((from_ns, min(to_ns, begin)), (max(from_ns, end), to_ns))
            if part[1] > part[0]
        ]
    return sum(to_ns - from_ns for from_ns, to_ns in left)
