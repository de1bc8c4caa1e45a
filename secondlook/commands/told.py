"""Alerts of the past: their messages put together, chosen, said for people. No I/O, no clock."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from secondlook.messages import Alert, Feedback, rfc3339

LAST = "last"
"""In place of an id: the newest alert."""
ENDS = {"confirmed": "confirmed later", "rejected": "rejected later"}
"""Reasons of an end that need more than their own word."""
FIELDS = (
    *("id", "camera", "label", "score", "status", "started_at", "ended_at", "duration_s"),
    *("reason", "supersedes", "late", "test", "messages", "delivered", "truth", "true_label"),
)
"""Of an alert as one row."""


@dataclass(slots=True)
class Told:
    """Everything that was said about one episode."""

    messages: list[Alert] = field(default_factory=list)
    delivered: bool = True
    feedback: Feedback | None = None

    @property
    def first(self) -> Alert:
        """Its `new`, or the first message that is still kept."""
        return self.messages[0]

    @property
    def last(self) -> Alert:
        """The newest message."""
        return self.messages[-1]

    @property
    def how(self) -> str:
        """How it ended, or that it is open, in words."""
        last = self.last
        if last.test:
            return "a test"
        return ENDS.get(last.reason or "", last.reason or "over") if last.ended_at else "open"

    @property
    def judged(self) -> str:
        """What people said of it, in words; empty if nobody has."""
        if self.feedback is None:
            return ""
        said = "true" if self.feedback.truth == "true_alarm" else "false"
        return f"{said}: {self.feedback.label}" if self.feedback.label else said

    def row(self) -> dict[str, Any]:
        """Return it as one flat row."""
        last, said = self.last, self.feedback
        return {
            "id": last.id,
            "camera": last.camera,
            "label": last.label,
            "score": last.score,
            "status": last.status,
            "started_at": rfc3339(last.started_at),
            "ended_at": rfc3339(last.ended_at) if last.ended_at else None,
            "duration_s": last.duration_s,
            "reason": last.reason,
            "supersedes": last.supersedes,
            "late": last.late,
            "test": last.test,
            "messages": len(self.messages),
            "delivered": self.delivered,
            "truth": said.truth if said else None,
            "true_label": said.label if said else None,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which alerts are wanted; what is None is not looked at."""

    camera: str | None = None
    label: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, told: Told) -> bool:
        """Tell whether an alert is wanted."""
        begun = told.last.started_at
        return (
            self.camera in (None, told.last.camera)
            and self.label in (None, told.last.label)
            and (self.since is None or begun >= self.since)
            and (self.until is None or begun < self.until)
        )


def together(
    messages: Iterable[tuple[Alert, bool]], feedback: Mapping[str, Feedback], choice: Choice
) -> list[Told]:
    """Return the wanted alerts, the one that began last at the end.

    Args:
        messages: Each with whether the broker has taken it, in order.
        feedback: By the alert's id.
        choice: Which are wanted.
    """
    found: dict[str, Told] = {}
    for alert, delivered in messages:
        told = found.setdefault(alert.id, Told(feedback=feedback.get(alert.id)))
        told.messages.append(alert)
        told.delivered &= delivered
    wanted = filter(choice.takes, found.values())
    return sorted(wanted, key=lambda told: told.last.started_at)


def meant(all_told: Sequence[Told], what: str) -> Told:
    """Return the alert that an id, the end of one, or `last` means.

    Raises:
        ValueError: None or several; the text says which.
    """
    found = [told for told in all_told if what in (told.last.id, LAST)][-1:]
    found = found or [told for told in all_told if told.last.id.endswith(what)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(told.last.id for told in found[:5])
        raise ValueError(f"{what} is the end of several alerts' ids: {ids}")
    raise ValueError(f"no alert {what} is kept; `secondlook alerts list` shows those that are")


def described(told: Told) -> Iterator[tuple[str, str]]:
    """Yield what there is to say about an alert, each with its name."""
    last, first = told.last, told.first
    rule = last.decision
    began = last.started_at.astimezone()
    yield "what", f"{last.label} at {last.camera}" + (", a test" if last.test else "")
    yield "when", f"{began:%Y-%m-%d %H:%M:%S %Z}" + seconds(last.duration_s, ", for ")
    yield "how", told.how + (", decided late" if last.late else "")
    yield "id", last.id
    yield "score", f"{last.score:.2f}, found as {last.detector.label} {last.detector.score:.2f}"
    if last.classifier is not None:
        best = sorted(last.classifier.scores.items(), key=lambda item: -item[1])[:5]
        yield "scores", ", ".join(f"{label} {score:.2f}" for label, score in best)
    votes = f"{rule.confirmed} confirmed, {rule.rejected} rejected, {rule.uncertain} uncertain"
    yield "rule", f"{rule.rule}: {votes}"
    yield "delay", f"decided {first.latency_ms.decided:.0f} ms after capture"
    if last.supersedes:
        yield "after", f"it took over from {last.supersedes}"
    for alert in told.messages:
        when = f"{alert.updated_at.astimezone():%H:%M:%S}"
        why = f", {alert.reason}" if alert.reason else ""
        yield f"message {alert.sequence}", f"{when} {alert.event} {alert.score:.2f}{why}"
    if not told.delivered:
        yield "unsent", "the broker has not taken all of it yet"
    yield "feedback", told.judged or "none yet: secondlook feedback ID true_alarm (or false_alarm)"


def seconds(duration_s: float | None, before: str = "") -> str:
    """Return a duration in words, with `before` in front; empty if it is not known."""
    if duration_s is None:
        return ""
    minutes, rest = divmod(round(duration_s), 60)
    if not minutes:
        return f"{before}{duration_s:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return before + (f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s")
