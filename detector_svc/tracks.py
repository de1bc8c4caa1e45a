"""Which detections are of one object, over the frames of one camera.

Each track predicts where its object is by its constant velocity; detections are given to
tracks greedily, best pair first. Overlap decides where there is any. Small things at five
frames per second often do not overlap their last box at all, so what is left is matched by
distance, in units of its own size. Times are `media_ns`; no clock.

Labels do not hold a track together: a detector tuned to miss nothing changes its mind about
them, and a track torn in two would need its looks twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector_svc.yolo import Detections

MIN_OVERLAP = 0.1
"""Intersection over union from which a box continues a track whatever the distance."""
SPEED = 12.5
"""Box sizes per second that an object may move: a card of 80 pixels that crosses a 1080p
picture in two seconds does twelve."""
REACH = (0.5, 2.5)
"""Least and greatest distance, in box sizes, over which a box continues a track."""
MAX_GROWTH = 2.5
"""An area that changes by more than this between two sightings is another object, unless the
boxes overlap."""
MEMORY = 0.5
"""Part of the old velocity that a new sighting leaves in place."""
LONGEST_GAP_NS = 10_000_000_000
"""A track survives a gap between two frames (a motion gate, a slow camera) up to this."""
MAX_TRACKS = 2000
"""Open tracks of a camera; beyond it those unseen for longest end."""

Xyxy = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class Track:
    """One object, as far as it has been seen. Changed by its tracker alone."""

    id: str
    run: str
    started_ns: int
    """Unix time of the first frame."""
    started_media_ns: int
    box: Xyxy
    """Where it was last seen: x1, y1, x2, y2 in pixels of the frame."""
    score: float
    label: int
    """Index into the model's labels, of the last sighting."""
    media_ns: int
    """When it was last seen, in media time …"""
    captured_ns: int
    """… and in Unix time."""
    velocity: tuple[float, float] | None = None
    """Pixels per second across and down; None until it was seen twice."""

    def predicted(self, media_ns: int) -> Xyxy:
        """Return the box where the object should be by now."""
        if self.velocity is None:
            return self.box
        seconds = (media_ns - self.media_ns) / 1e9
        across, down = self.velocity[0] * seconds, self.velocity[1] * seconds
        x1, y1, x2, y2 = self.box
        return x1 + across, y1 + down, x2 + across, y2 + down

    def see(self, box: Xyxy, score: float, label: int, media_ns: int, captured_ns: int) -> None:
        """Take a new sighting, later than the last."""
        seconds = (media_ns - self.media_ns) / 1e9
        across = (box[0] + box[2] - self.box[0] - self.box[2]) / 2 / seconds
        down = (box[1] + box[3] - self.box[1] - self.box[3]) / 2 / seconds
        old = self.velocity or (across, down)
        self.velocity = (
            MEMORY * old[0] + (1 - MEMORY) * across,
            MEMORY * old[1] + (1 - MEMORY) * down,
        )
        self.box, self.score, self.label = box, score, label
        self.media_ns, self.captured_ns = media_ns, captured_ns


@dataclass(frozen=True, slots=True)
class Step:
    """What a frame changed."""

    sightings: tuple[Track, ...]
    """One track for each detection of the frame, in their order, each at most once."""
    ended: tuple[Track, ...]
    """Gone for good."""


@dataclass(slots=True, eq=False)
class Tracker:
    """The tracks of one camera.

    Args:
        camera: Begins the ids of its tracks.
        instance: Of lower-case letters, digits and `-`, never used before: it makes the ids
            unique over restarts.
        lost_after_ns: Media time after which a track that is not seen has ended.
    """

    camera: str
    instance: str
    lost_after_ns: int
    run: str = ""
    media_ns: int = -1
    """Media time of the newest frame of the run; -1 before the first."""
    _open: list[Track] = field(default_factory=list)
    _named: int = 0

    def __len__(self) -> int:
        return len(self._open)

    def is_next(self, run: str, media_ns: int) -> bool:
        """Return whether a frame is newer than the last one, or of another run."""
        return run != self.run or media_ns > self.media_ns

    def advance(self, run: str, media_ns: int, captured_ns: int, detections: Detections) -> Step:
        """Take the detections of the next frame, in frame pixels.

        Raises:
            ValueError: The frame is not newer than the last one of its run.
        """
        if not self.is_next(run, media_ns):
            raise ValueError(f"media time {media_ns} does not come after {self.media_ns}")
        ended: list[Track] = []
        if run != self.run:
            ended += self.end()
            self.run = run
        previous_ns, self.media_ns = self.media_ns, media_ns
        # Nothing can be seen between two frames: a gap between them is no absence.
        ended += self._drop(
            lambda track: (
                self._is_lost(track)
                and (track.media_ns < previous_ns or media_ns - track.media_ns > LONGEST_GAP_NS)
            )
        )
        sightings = []
        for index, known in enumerate(match(self._open, detections, media_ns)):
            x1, y1, x2, y2 = detections.boxes[index].tolist()
            score, label = float(detections.scores[index]), int(detections.labels[index])
            if known is None:
                track = self._begin((x1, y1, x2, y2), score, label, captured_ns)
            else:
                track = known
                track.see((x1, y1, x2, y2), score, label, media_ns, captured_ns)
            sightings.append(track)
        ended += self._drop(self._is_lost)
        ended += self._shed()
        return Step(tuple(sightings), tuple(ended))

    def end(self) -> tuple[Track, ...]:
        """End every track, for instance because the camera is gone; return them."""
        ended, self._open = tuple(self._open), []
        self.run, self.media_ns = "", -1
        return ended

    def _is_lost(self, track: Track) -> bool:
        return self.media_ns - track.media_ns > self.lost_after_ns

    def _begin(self, box: Xyxy, score: float, label: int, captured_ns: int) -> Track:
        name = f"{self.camera}-{self.instance}-{self._named}"
        self._named += 1
        track = Track(
            name,
            self.run,
            captured_ns,
            self.media_ns,
            box,
            score,
            label,
            self.media_ns,
            captured_ns,
        )
        self._open.append(track)
        return track

    def _drop(self, gone: Callable[[Track], bool]) -> list[Track]:
        dropped = [track for track in self._open if gone(track)]
        if dropped:
            self._open = [track for track in self._open if not gone(track)]
        return dropped

    def _shed(self) -> list[Track]:
        if len(self._open) <= MAX_TRACKS:
            return []
        newest_first = sorted(self._open, key=lambda track: track.media_ns, reverse=True)
        self._open = newest_first[:MAX_TRACKS]
        return newest_first[MAX_TRACKS:]


def match(tracks: list[Track], detections: Detections, media_ns: int) -> list[Track | None]:
    """Return for each detection the track that it continues, None for a new object.

    No track is given twice.
    """
    given: list[Track | None] = [None] * len(detections)
    if not tracks or not len(detections):
        return given
    affinity = _affinity(tracks, detections, media_ns)
    rows, columns = np.nonzero(affinity > 0)
    free = set(range(len(tracks)))
    for pair in np.argsort(-affinity[rows, columns], kind="stable"):
        track, detection = int(rows[pair]), int(columns[pair])
        if track in free and given[detection] is None:
            given[detection] = tracks[track]
            free.discard(track)
    return given


def _affinity(tracks: list[Track], detections: Detections, media_ns: int) -> NDArray[np.float64]:
    """Return how well each track and detection fit, shape (tracks, detections).

    2..3 where they overlap, 0..1 where only the distance fits, at most 0 where nothing does.
    An object may go on as before or stop, so the better of the two counts.
    """
    boxes = detections.boxes.astype(np.float64)
    last = np.array([track.box for track in tracks])
    ahead = np.array([track.predicted(media_ns) for track in tracks])
    overlap = np.maximum(_overlap(ahead, boxes), _overlap(last, boxes))
    areas, ours = _area(boxes)[None, :], _area(last)[:, None]
    size = np.sqrt((areas + ours) / 2)
    distance = np.minimum(_distance(ahead, boxes), _distance(last, boxes)) / np.maximum(size, 1)
    seconds = np.array([(media_ns - track.media_ns) / 1e9 for track in tracks])
    reach = np.clip(SPEED * seconds, *REACH)[:, None]
    alike = np.maximum(areas, ours) <= MAX_GROWTH * np.minimum(areas, ours)
    near = np.where(alike, 1 - distance / reach, 0)
    return np.where(overlap >= MIN_OVERLAP, 2 + overlap, near)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = boxes[:, 2:] - boxes[:, :2]
    area: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return area


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each of `a` with each of `b`."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.clip(sides, 0, None).prod(axis=2)
    union = _area(a)[:, None] + _area(b)[None, :] - both
    overlap: NDArray[np.float64] = both / np.maximum(union, 1e-9)
    return overlap


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of the centre of each of `a` to that of each of `b`."""
    between = (a[:, None, :2] + a[:, None, 2:] - b[None, :, :2] - b[None, :, 2:]) / 2
    distance: NDArray[np.float64] = np.hypot(between[..., 0], between[..., 1])
    return distance
