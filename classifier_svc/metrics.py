"""What the classifier counts, for /metrics and `stats/classifier`."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
SHORT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)
EVENTS = ("new", "update", "end")
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The classifier's counters and histograms in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"secondlook_classifier_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(
                f"secondlook_classifier_{name}", text, labels, registry=registry, buckets=buckets
            )

        self._registry = registry
        self.received = counter("crops_received", "Crops that came, known ones too", "camera")
        self.shed = counter(
            "crops_shed",
            "Crops dropped without a verdict: too_old, full, unreadable, lost (its row in the "
            "database), unknown_camera",
            "camera",
            "cause",
        )
        self.verdicts = counter("verdicts", "Looks by outcome and label", "outcome", "label")
        self.unusable = counter("answers_unusable", "Looks without usable scores (NaN, infinity)")
        self.alerts = counter("alerts", "Alerts by event, label and reason", "event", "label")
        self.failures = counter("inference_failures", "Calls that failed", "cause")
        self.outages = counter("outages", "Times that the model went away")
        self.commands = counter("commands", "Messages on set/…", "key", "outcome")
        self.feedback = counter(
            "feedback",
            "Messages on feedback: recorded, again (nothing new), unknown (no such alert is kept, "
            "or a test), lost (the database could not be written)",
            "camera",
            "outcome",
        )
        self.judged = Gauge(
            "secondlook_classifier_alerts_judged",
            "Alerts that people have judged, by their last word, as long as it is kept",
            ("camera", "truth"),
            registry=registry,
        )
        self.replays = counter("replays", "Requests on replay by outcome", "outcome")
        self.dead_letters = counter("dead_letters", "Crops whose picture could not be read")
        self.blind = counter("blind_seconds", "Time told as blind", "camera")
        self.retries = counter("database_retries", "Commits that had to be tried again")
        self.inference = histogram(
            "inference_seconds", "From a filled slot to Triton's answer", SECONDS
        )
        self.prepare = histogram(
            "prepare_seconds", "Decoding and fitting the crops of one batch", SHORT
        )
        self.commit = histogram("commit_seconds", "Commits of the database", SHORT)
        self.batch = histogram("batch_size", "Crops per call", BATCHES)
        self.hop = histogram(
            "hop_seconds",
            "From capture until the crop was received, until it was classified, and until the "
            "alert was decided (new ones)",
            SECONDS,
            "until",
        )

    def begin(self, cameras: Iterable[str], labels: Iterable[str]) -> None:
        """Let numbers exist from the start: what appears at 1 never shows its first increase."""
        for camera in cameras:
            self.received.labels(camera)
            self.blind.labels(camera)
        for until in ("received", "classified", "alert"):
            self.hop.labels(until)
        for label in labels:
            for event in EVENTS:
                self.alerts.labels(event, label)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that is asked for when it is read."""
        Gauge(f"secondlook_classifier_{name}", text, registry=self._registry).set_function(value)

    def watch(self, prefix: str, counts: Counts[str], *names: str) -> None:
        """Show what another object counts."""
        for name in names:
            self.gauge(f"{prefix}_{name}", f"{name} so far", partial(_count, counts, name))


def _count(counts: Counts[str], name: str) -> float:
    return float(counts[name])
