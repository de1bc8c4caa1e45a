"""What was really in front of the camera, by the wall clock. Reads no files and no clock."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from producers.scenes import SyntheticScene, TrueEpisode
from secondlook.messages import Box

SECOND = 1_000_000_000
Xyxy = tuple[float, float, float, float]
SHIFT_NS = 50_000_000
"""A frame that is later than expected by more begins another stretch of the run's time."""


@dataclass(slots=True)
class Run:
    """One opening of a synthetic camera, as far as its frames were heard of."""

    camera: str
    id: str
    seed: int
    first_media_ns: int
    last_media_ns: int = 0
    _media: list[int] = field(default_factory=list)
    _captured: list[int] = field(default_factory=list)

    def add(self, media_ns: int, captured_ns: int) -> None:
        """Take a FrameRef; in the order of capture."""
        self.last_media_ns = max(self.last_media_ns, media_ns)
        # A source that was frozen goes on where it stood: the clock has moved, the scene has not.
        if not self._media or abs(captured_ns - self.captured_ns(media_ns)) > SHIFT_NS:
            self._media.append(media_ns)
            self._captured.append(captured_ns)

    def captured_ns(self, media_ns: int) -> int:
        """Return the Unix time at which the frame of a scene's moment was captured."""
        place = max(0, bisect_right(self._media, media_ns) - 1)
        return self._captured[place] + media_ns - self._media[place]


@dataclass(frozen=True, slots=True)
class Visit:
    """A true episode whose label is to alert, with the frames that were captured of it."""

    camera: str
    run: str
    seed: int
    label: str
    card: str
    frames_ns: tuple[int, ...]
    """Unix times of capture, in order; frames that the run did not live to see are left out."""

    boxes: tuple[tuple[float, float, float, float], ...] = ()
    """Where the card is in each of them: left, top, right, bottom in pixels."""

    def is_at(self, at_ns: int, box: Box) -> bool:
        """Tell whether a box touches the card as it was in the frame nearest to a moment."""
        if not self.boxes:
            return True
        near = min(range(len(self.boxes)), key=lambda i: abs(self.frames_ns[i] - at_ns))
        left, top, right, bottom = self.boxes[near]
        return box.x1 < right and left < box.x2 and box.y1 < bottom and top < box.y2

    @property
    def start_ns(self) -> int:
        """Its first frame."""
        return self.frames_ns[0]

    @property
    def end_ns(self) -> int:
        """Its last frame."""
        return self.frames_ns[-1]


def scene_of(seed: int, size: tuple[int, int], fps: float, labels: Sequence[str]) -> SyntheticScene:
    """Return what the camera `synthetic:` shows."""
    return SyntheticScene(seed, *size, fps, list(labels))


def visits_of(run: Run, scene: SyntheticScene, labels: Sequence[str]) -> list[Visit]:
    """Return what of a run's episodes was captured, in order; those that should alert."""
    last_s = run.last_media_ns / SECOND
    found = []
    for episode in scene.episodes(last_s):
        captured = list(_captured(run, episode, scene.fps))
        if captured and episode.label in labels:
            frames, boxes = zip(*captured, strict=True)
            found.append(
                Visit(run.camera, run.id, run.seed, episode.label, episode.card, frames, boxes)
            )
    return found


def _captured(run: Run, episode: TrueEpisode, fps: float) -> Iterator[tuple[int, Xyxy]]:
    for index, box in episode.boxes:
        media_ns = round(index * SECOND / fps)
        if run.first_media_ns <= media_ns <= run.last_media_ns:
            yield run.captured_ns(media_ns), box
