"""What the producers count, per camera."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from producers.reports import Counted

LATENCIES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The producers' counters, gauges and histograms in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        camera = ["camera"]
        self.captured = Counter(
            "secondlook_frames_captured",
            "Pictures that the source gave",
            camera,
            registry=registry,
        )
        self.sent = Counter(
            "secondlook_frames_sent",
            "Frames stored and announced on the bus",
            camera,
            registry=registry,
        )
        self.dropped = Counter(
            "secondlook_frames_dropped",
            "Pictures that were not announced, by cause: paced, late, motion, blank, "
            "unreadable, store_full, bus",
            [*camera, "cause"],
            registry=registry,
        )
        self.up = Gauge(
            "secondlook_camera_up", "1 while frames come, else 0", camera, registry=registry
        )
        self.fps = Gauge(
            "secondlook_camera_fps",
            "Frames announced per second, over the last ten",
            camera,
            registry=registry,
        )
        self.announced_after = Histogram(
            "secondlook_capture_to_announce_seconds",
            "From capture until the frame was handed to the bus",
            camera,
            buckets=LATENCIES_S,
            registry=registry,
        )
        self.reconnects = Counter(
            "secondlook_camera_reconnects",
            "Times the source was opened again",
            camera,
            registry=registry,
        )
        self.restarts = Counter(
            "secondlook_camera_restarts",
            "Times the capture process died or was killed because it hung",
            camera,
            registry=registry,
        )

    def begin(self, camera: str) -> None:
        """Let the camera's numbers exist from the start, at zero."""
        for metric in (self.captured, self.sent, self.up, self.reconnects, self.restarts):
            metric.labels(camera)

    def count(self, camera: str, counted: Counted) -> None:
        """Add what a capture process counted."""
        self.captured.labels(camera).inc(counted.grabbed)
        for cause, number in counted.dropped.items():
            self.dropped.labels(camera, cause).inc(number)
