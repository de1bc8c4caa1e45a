"""The numbers of `stats/<service>`, by name and labels, and how they grow. No bus, no clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from secondlook.messages import Stats

ON_PURPOSE = ("paced", "motion")
"""Causes of dropped frames that are settings: the source gives more than `fps`, nothing moved."""
DROPPED = {"producers": "frames_dropped_total", "detector": "detector_frames_dropped_total"}


def samples(counters: Mapping[str, float]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield name, labels and value of each number."""
    for key, value in counters.items():
        name, _, inside = key.removesuffix("}").partition("{")
        labels = dict(pair.split("=", 1) for pair in inside.split(",") if "=" in pair)
        yield name, labels, value


@dataclass(slots=True)
class Counted:
    """The newest numbers of each service, and those before them."""

    _newest: dict[str, Stats] = field(default_factory=dict)
    _before: dict[str, Stats] = field(default_factory=dict)

    def take(self, stats: Stats) -> None:
        """Take what a service says."""
        known = self._newest.get(stats.service)
        if known is not None and known.at < stats.at:
            self._before[stats.service] = known
        elif known is not None and known.at > stats.at:
            # Its clock was set back: what came before cannot be compared.
            self._before.pop(stats.service, None)
        self._newest[stats.service] = stats

    def of(self, service: str) -> Stats | None:
        """Return the newest numbers of a service."""
        return self._newest.get(service)

    def value(self, service: str, name: str, **labels: str) -> float:
        """Return a number, summed over all labels that are not given; 0 if there is none."""
        return _sum(self._newest.get(service), name, labels)

    def growth(self, service: str, name: str, **labels: str) -> float | None:
        """Return by how much a number grows per second; None before it was said twice."""
        now, before = self._newest.get(service), self._before.get(service)
        if now is None or before is None:
            return None
        seconds = (now.at - before.at).total_seconds()
        # After a restart it counts from zero.
        grown = max(0.0, _sum(now, name, labels) - _sum(before, name, labels))
        return grown / seconds

    def dropped(self, camera: str) -> float | None:
        """Return the frames of a camera per second that were lost on the way; None: not known."""
        rates = [
            self.growth(service, name, camera=camera, cause=cause)
            for service, name in DROPPED.items()
            for cause in self._causes(service, name)
        ]
        known = [rate for rate in rates if rate is not None]
        return sum(known) if known or self._before else None

    def _causes(self, service: str, name: str) -> set[str]:
        found = self._newest.get(service)
        every = samples(found.counters) if found else ()
        causes = {labels.get("cause", "") for each, labels, _ in every if each == name}
        return causes - {*ON_PURPOSE}


def _sum(stats: Stats | None, name: str, wanted: Mapping[str, str]) -> float:
    if stats is None:
        return 0.0
    return sum(
        value
        for each, labels, value in samples(stats.counters)
        if each == name and wanted.items() <= labels.items()
    )
