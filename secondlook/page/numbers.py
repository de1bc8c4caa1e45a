"""What a service's counters come to, for people: how much it does, and what should not be. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from secondlook.messages import Stats

WORK: Mapping[str, tuple[str, str]] = {
    "producers": ("frames_sent_total", "frames/s"),
    "detector": ("detector_frames_total", "frames/s"),
    "classifier": ("classifier_verdicts_total", "looks/s"),
}
"""The counter of what a service is for, and the unit of its rate."""
WAITING: Mapping[str, tuple[str, str]] = {
    "classifier": ("classifier_crops_waiting", "crops waiting"),
    "detector": ("detector_tracks_open", "tracks open"),
}
"""What a service has in hand."""
TROUBLES: Mapping[str, str] = {
    "bus_unreadable": "messages that could not be read",
    "bus_dropped_in": "messages that came too fast",
    "camera_restarts_total": "captures that hung or died",
    "detector_detections_invalid_total": "broken numbers from the model",
    "detector_messages_refused": "crops that the broker refused",
    "detector_spool_shed": "crops without room in the spool",
    "detector_spool_corrupt": "damaged crops in the spool",
    "detector_spool_unwritten": "crops kept in memory alone",
    "classifier_crops_shed_total": "crops dropped without a verdict",
    "classifier_answers_unusable_total": "looks without usable scores",
    "classifier_outbox_refused": "alerts that the broker refuses",
    "classifier_outbox_set_aside": "alerts put behind the others",
    "classifier_dead_letters_total": "crops that could not be read",
    "classifier_review_failed": "review crops that could not be written",
}
"""Numbers that should stay at zero; `docs/operations.md` explains every number."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What there is to say of a service's numbers."""

    work: str
    """How much it does, such as `5.0 frames/s`; empty where two reports are not at hand yet."""
    troubles: list[str]
    """What should not be, with how often it was since the service started."""


def digest(stats: Stats, before: Stats | None) -> Digest:
    """Return what a report of a service says.

    Args:
        stats: The newest report.
        before: The one before it, for rates.
    """
    totals = _summed(stats)
    said = []
    if stats.service in WORK:
        name, unit = WORK[stats.service]
        rate = _rate(name, stats, before)
        said += [f"{rate:.1f} {unit}"] if rate is not None else []
    if stats.service in WAITING:
        name, what = WAITING[stats.service]
        said += [f"{what}: {totals[name]:.0f}"] if totals.get(name) else []
    found = {what: totals.get(name, 0.0) for name, what in TROUBLES.items()}
    troubles = [f"{what}: {times:.0f}" for what, times in found.items() if times]
    return Digest(", ".join(said), troubles)


def _summed(stats: Stats) -> dict[str, float]:
    """Return the counters by name alone, summed over their labels."""
    totals: dict[str, float] = {}
    for key, value in stats.counters.items():
        name = key.partition("{")[0]
        totals[name] = totals.get(name, 0.0) + value
    return totals


def _rate(name: str, stats: Stats, before: Stats | None) -> float | None:
    if before is None:
        return None
    passed_s = (stats.at - before.at).total_seconds()
    more = _summed(stats).get(name, 0.0) - _summed(before).get(name, 0.0)
    # Less than before: the service has begun anew.
    return more / passed_s if passed_s > 0 and more >= 0 else None
