"""What the detector counts, for /metrics and `stats/detector`."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from detector_svc.sender import Sender
from detector_svc.spool import Spool

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SHORT = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)


class Metrics:
    """The detector's counters and histograms in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"secondlook_detector_{name}", text, labels, registry=registry)

        self._registry = registry
        self.frames = counter("frames", "Frames looked at", "camera")
        self.dropped = counter(
            "frames_dropped",
            "Frames not looked at: overwritten, too_old, expired, invalid, not_newer, triton, "
            "timeout, unknown_camera",
            "camera",
            "cause",
        )
        self.detections = counter("detections", "Detections after NMS and zones", "camera")
        self.invalid = counter("detections_invalid", "Broken numbers in the model's output")
        self.limit = counter(
            "candidates_limit", "Frames with more candidates than the model or NMS takes"
        )
        self.shed = counter("detections_shed", "Detections beyond max_detections")
        self.looks = counter("looks", "Crops sent for a look", "camera", "cause")
        self.skipped = counter(
            "looks_skipped",
            "Looks that were due and not taken: too_small, not_encoded, budget (more than "
            "detector.max_looks_per_s)",
            "camera",
            "cause",
        )
        self.tracks = Gauge(
            "secondlook_detector_tracks_open", "Open tracks", ["camera"], registry=registry
        )
        self.inference = Histogram(
            "secondlook_detector_inference_seconds",
            "From a filled slot to Triton's answer",
            buckets=SECONDS,
            registry=registry,
        )
        self.stage = Histogram(
            "secondlook_detector_stage_seconds",
            "Time spent on a frame by stage: fit, decode, look (tracks and crops), spool",
            ["stage"],
            buckets=SHORT,
            registry=registry,
        )
        self.hop = Histogram(
            "secondlook_detector_hop_seconds",
            "From capture until the detector received the frame's reference, and until it had "
            "its detections",
            ["until"],
            buckets=SECONDS,
            registry=registry,
        )

    def begin(self, camera: str) -> None:
        """Let a camera's numbers exist from the start: none would look like no camera."""
        for metric in (self.frames, self.detections, self.tracks):
            metric.labels(camera)

    def watch(self, spool: Spool, sender: Sender) -> None:
        """Show the spool and what leaves it."""
        self._gauge("spool_bytes", "Bytes of kept crops", lambda: float(spool.size_bytes))
        self._registry.register(_ByCamera(spool.by_camera))
        self._gauge("spool_messages", "Kept messages", lambda: float(len(spool)))
        for cause in ("shed", "expired", "corrupt", "unwritten"):
            self._gauge(
                f"spool_{cause}",
                f"Messages {cause} so far",
                partial(_count, spool.counts, cause),
            )
        for outcome in ("sent", "again", "refused"):
            self._gauge(
                f"messages_{outcome}",
                f"Crops and ends of tracks {outcome} so far",
                partial(_count, sender.counts, outcome),
            )

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        gauge = Gauge(f"secondlook_detector_{name}", text, registry=self._registry)
        gauge.set_function(value)


class _ByCamera(Collector):
    """Shows what the spool lost or could not write, by camera and cause."""

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "secondlook_detector_spool_lost",
            "Messages that the spool let go or could not write: shed (no room), expired (too "
            "old), corrupt, unwritten (kept in memory alone)",
            labels=["camera", "cause"],
        )
        for labels, number in list(self._counts.items()):
            family.add_metric(labels, number)
        yield family


def _count(counts: Mapping[str, int], name: str) -> float:
    return float(counts[name])
