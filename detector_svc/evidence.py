"""What the detections of one camera become: tracks, looks, and messages to the classifier.

Told the time; sends and stores nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from detector_svc import crops
from detector_svc.crops import Image
from detector_svc.looks import Budget, TrackLooks
from detector_svc.tracks import Track, Tracker
from detector_svc.yolo import Detections
from secondlook.config import Camera, Config
from secondlook.messages import Crop, Detected, FrameRef, Seen, TrackEnded
from secondlook.model_spec import ModelSpec

DEFAULT_MIN_SCORE = 0.25
FRAMES_MISSED = 3
"""So many frames' time without one is a pause, for slow cameras."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one frame brought."""

    messages: tuple[Crop | TrackEnded, ...]
    """In the order in which they must be sent."""
    detections: int
    """How many counted, after zones."""
    looks: Counter[str]
    """Crops by cause."""
    skipped: Counter[str]
    """Looks that were due and not taken: `too_small`, `not_encoded`, `budget`."""


@dataclass(slots=True, eq=False)
class Evidence:
    """One camera's tracks and their looks.

    Its frames must come one at a time, in the order they were captured.

    Args:
        name: The camera's slug.
        config: The whole configuration.
        spec: The detector's model.
        instance: Makes the ids of tracks unique over restarts.
    """

    name: str
    config: Config
    spec: ModelSpec
    instance: str
    tracker: Tracker = field(init=False)
    budget: Budget = field(init=False)
    last: FrameRef | None = None
    """The newest frame that was looked at."""
    _looks: dict[str, TrackLooks] = field(default_factory=dict)
    _unbroken_since_ns: int = 0
    _seen_at_s: float = float("-inf")
    _seen: FrameRef | None = None

    def __post_init__(self) -> None:
        lost_after_ns = int(self.config.detector.lost_after_s * 1e9)
        self.tracker = Tracker(self.name, self.instance, lost_after_ns)
        self.budget = Budget(self.config.detector.max_looks_per_s)

    @property
    def _camera(self) -> Camera:
        return self.config.cameras[self.name]

    @property
    def min_score(self) -> float:
        """The score from which a detection of this camera counts."""
        for given in (
            self._camera.min_score,
            self.config.detector.min_score,
            self.spec.parameters.min_score,
        ):
            if given is not None:
                return given
        return DEFAULT_MIN_SCORE

    def see(self, ref: FrameRef, image: Image, detections: Detections, detected_ms: float) -> Found:
        """Take a frame's detections, in frame pixels, after NMS.

        Raises:
            ValueError: The frame is not newer than the last one of its run.
        """
        zones = self._camera.zones.values()
        counted = crops.in_zones(detections, zones, ref.width, ref.height)
        step = self.tracker.advance(ref.run, ref.media_ns, ref.captured_ns, counted)
        if self._has_paused(ref):
            self._unbroken_since_ns = ref.captured_ns
        self.last = ref
        looks: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        messages: list[Crop | TrackEnded] = self._ended(step.ended)
        self.budget.fill(ref.run, ref.media_ns)
        for track in sorted(step.sightings, key=lambda track: self._looks_of(track).rank):
            crop = self._look(track, ref, image, detected_ms, skipped)
            if crop is not None:
                looks[crop.cause] += 1
                messages.append(crop)
        return Found(tuple(messages), len(counted), looks, skipped)

    def _has_paused(self, ref: FrameRef) -> bool:
        """Tell whether something may have come and gone between the last frame and this one.

        On both clocks of the run: a clip that is read as fast as possible makes large steps in
        `media_ns` alone, a wall clock that is set makes one in `captured_ns` alone.
        """
        last, camera = self.last, self._camera
        if last is None or last.run != ref.run:
            return True
        frames_s = camera.motion.max_gap_s if camera.motion.enabled else 0.0
        # A pause below the time between two looks at a track costs no look that its rule needs.
        longest_s = max(self.config.detector.relook_s, FRAMES_MISSED / camera.fps, frames_s)
        steps = (ref.media_ns - last.media_ns, ref.captured_ns - last.captured_ns)
        return min(steps) > longest_s * 1e9

    def end(self) -> list[Crop | TrackEnded]:
        """End every track: the camera is gone."""
        return self._ended(self.tracker.end())

    def seen(self, now_s: float, *, at_once: bool = False) -> Seen | None:
        """Return how far this camera has been looked at, when it is time or its run changes.

        Args:
            now_s: Any clock that only goes forward.
            at_once: Do not wait for `detector.seen_every_s` to pass.
        """
        ref, before, every_s = self.last, self._seen, self.config.detector.seen_every_s
        if ref is None or ref is before:
            return None
        same_run = before is not None and before.run == ref.run
        if same_run and not at_once and now_s - self._seen_at_s < every_s:
            return None
        self._seen, self._seen_at_s = ref, now_s
        return Seen(
            camera=ref.camera,
            run=ref.run,
            media_ns=ref.media_ns,
            captured_ns=ref.captured_ns,
            unbroken_since_ns=self._unbroken_since_ns,
        )

    def _look(
        self,
        track: Track,
        ref: FrameRef,
        image: Image,
        detected_ms: float,
        skipped: Counter[str],
    ) -> Crop | None:
        """Take a look at a track if one is due."""
        settings = self.config.detector
        box = crops.whole_box(track.box, ref.width, ref.height)
        if box is None or min(box.width, box.height) < settings.crop.min_px:
            skipped["too_small"] += 1
            return None
        region = crops.region_of(box, settings.crop.margin, ref.width, ref.height)
        part = crops.cut(image, region)
        looks, appearance = self._looks_of(track), crops.appearance(part)
        cause = looks.due(ref.media_ns, track.box, appearance)
        if cause is None:
            return None
        if not self.budget.has_one():
            skipped["budget"] += 1
            return None
        try:
            jpeg = crops.encode(part, settings.crop.jpeg_quality)
        except ValueError:
            skipped["not_encoded"] += 1
            return None
        self.budget.spend()
        number = looks.take(cause, ref.media_ns, track.box, appearance)
        return Crop(
            id=f"{track.id}.{number}",
            camera=ref.camera,
            track=track.id,
            frame=ref,
            box=box,
            region=region,
            detector=self._detected(track),
            cause=cause,
            track_started_ns=track.started_ns,
            track_started_media_ns=track.started_media_ns,
            detected_ms=detected_ms,
            jpeg=jpeg,
        )

    def _looks_of(self, track: Track) -> TrackLooks:
        if track.id not in self._looks:
            relook_ns = int(self.config.detector.relook_s * 1e9)
            self._looks[track.id] = TrackLooks(self.config.alerts.n, relook_ns)
        return self._looks[track.id]

    def _detected(self, track: Track) -> Detected:
        labels = self.spec.parameters.labels or ()
        return Detected(
            model=self.spec.name,
            version=self.spec.version,
            label=labels[track.label],
            score=track.score,
        )

    def _ended(self, tracks: Sequence[Track]) -> list[Crop | TrackEnded]:
        ended: list[Crop | TrackEnded] = []
        for track in tracks:
            looks = self._looks.pop(track.id, None)
            if looks is None or not looks.taken:
                continue  # nobody downstream has heard of it
            ended.append(
                TrackEnded(
                    camera=self.name,
                    track=track.id,
                    run=track.run,
                    media_ns=track.media_ns,
                    captured_ns=track.captured_ns,
                    looks=looks.taken,
                )
            )
        return ended
