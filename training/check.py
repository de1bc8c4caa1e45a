"""Plays a clip, the synthetic camera or photographs through the two models, without any service.

It shows what the models alone would let alert: the best label of two of three looks in a row is
the same gun with a score of at least 0.8. The real pipeline is measured by `secondlook evaluate`.

`python -m training.check --clip producers/demo/demo.mp4`
`python -m training.check --synthetic 7 --seconds 120`
`python -m training.check --images some/folder`
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.scenes import SyntheticScene
from training.cards.compose import Box
from training.cards.cutting import CLASSES, cut, overlap
from training.fused import FusedDetector, session

GUNS = ("small_gun", "big_gun")
CONFIRM_SCORE = 0.8
_LOST_AFTER = 4
"""Frames without a match after which a track is over."""


class Found(NamedTuple):
    """A detection with its look."""

    box: Box
    score: float
    label: str
    label_score: float


class Models:
    """The two fused models of a model repository."""

    def __init__(self, repository: Path, threads: int) -> None:
        model = repository / "yolov5/1/model.onnx"
        self._detector = FusedDetector(model, ("suspect",), threads)
        self._classifier = session(repository / "efficientnet_b0/1/model.onnx", threads)

    def detect(self, frame: Image, min_score: float) -> list[tuple[Box, float]]:
        """Return boxes in frame pixels and scores after non-maximum suppression."""
        return [(found.box, found.score) for found in self._detector.detect(frame, min_score)]

    def look(self, crops: list[Image]) -> npt.NDArray[np.float32]:
        """Return the scores of BGR crops of 224 x 224, (crops, labels)."""
        if not crops:
            return np.empty((0, len(CLASSES)), np.float32)
        images = np.stack(crops)[..., ::-1]
        return np.asarray(self._classifier.run(["scores"], {"images": images})[0], np.float32)

    def judge(self, frame: Image, min_score: float) -> list[Found]:
        """Return every detection of a frame with the best label of its crop."""
        found = self.detect(frame, min_score)
        pieces = [(box, score, cut(frame, box)) for box, score in found]
        pieces = [(box, score, piece) for box, score, piece in pieces if piece is not None]
        looks = self.look([piece for _, _, piece in pieces if piece is not None])
        return [
            Found(box, score, CLASSES[int(look.argmax())], float(look.max()))
            for (box, score, _), look in zip(pieces, looks, strict=True)
        ]


@dataclass(slots=True)
class Track:
    """One thing over several frames."""

    first_s: float
    last: int
    found: list[Found] = field(default_factory=list)
    alerts: dict[str, float] = field(default_factory=dict)
    """Gun label and the second at which two of three looks had confirmed it."""

    def add(self, found: Found, index: int, at_s: float) -> None:
        """Take a look of frame `index`."""
        self.found.append(found)
        self.last = index
        for gun in GUNS:
            looks = [f.label == gun and f.label_score >= CONFIRM_SCORE for f in self.found[-3:]]
            if sum(looks) >= 2:
                self.alerts.setdefault(gun, at_s)


def follow(models: Models, frames: Iterator[Image], fps: float, min_score: float) -> list[Track]:
    """Return the tracks of a clip, matched by overlap from frame to frame."""
    open_tracks: list[Track] = []
    closed: list[Track] = []
    for index, frame in enumerate(frames):
        for found in models.judge(frame, min_score):
            near = [t for t in open_tracks if t.last < index]
            best = max(near, key=lambda t: overlap(t.found[-1].box, found.box), default=None)
            if best is None or overlap(best.found[-1].box, found.box) < 0.3:
                best = Track(index / fps, index)
                open_tracks.append(best)
            best.add(found, index, index / fps)
        closed += [t for t in open_tracks if index - t.last >= _LOST_AFTER]
        open_tracks = [t for t in open_tracks if index - t.last < _LOST_AFTER]
    return sorted(closed + open_tracks, key=lambda t: t.first_s)


def compare(tracks: list[Track], episodes: list[dict[str, object]]) -> tuple[list[str], bool]:
    """Return a line per true episode and per false alarm, and whether all is as it should be."""
    alerts = [(at, gun) for track in tracks for gun, at in track.alerts.items()]
    lines, good = [], True
    for episode in episodes:
        label, start = str(episode["label"]), float(str(episode["start_s"]))
        end = float(str(episode["end_s"]))
        hits = [a for a in alerts if a[1] == label and start - 0.5 <= a[0] <= end + 0.5]
        if label in GUNS:
            good &= len(hits) == 1
            what = f"alert after {hits[0][0] - start:.1f} s" if hits else "MISSED"
            lines.append(f"{start:7.1f} s {label:10} {what}{' AGAIN' * (len(hits) - 1)}")
        alerts = [a for a in alerts if a not in hits]
    lines += [f"{at:7.1f} s FALSE ALARM {gun}" for at, gun in alerts]
    return lines, good and not alerts


def _clip_frames(path: Path) -> Iterator[Image]:
    clip = cv2.VideoCapture(str(path))
    while True:
        there, frame = clip.read()
        if not there:
            return
        yield np.asarray(frame, np.uint8)


def _photographs(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.rglob("*.jpg")):
        image = cv2.imread(str(path))
        if image is not None:
            yield np.asarray(image, np.uint8)


def _show_looks(tracks: list[Track]) -> None:
    for track in tracks:
        looks = [f"{f.label[:5]} {f.label_score:.2f}" for f in track.found]
        best = max(f.score for f in track.found)
        click.echo(f"  track at {track.first_s:.1f} s, {len(looks)} looks, detector {best:.2f}: "
                   + ", ".join(looks))  # fmt: skip


@click.command()
@click.option(
    "--clip", type=click.Path(exists=True, path_type=Path), help="Truth: same name .json."
)
@click.option("--synthetic", type=int, help="Seed of a synthetic camera.")
@click.option(
    "--seconds", default=60.0, show_default=True, help="How much of the synthetic camera."
)
@click.option(
    "--images", type=click.Path(exists=True, path_type=Path), help="Folder without cards."
)
@click.option("--models", type=click.Path(exists=True, path_type=Path), default="model_repository")
@click.option("--min-score", default=0.25, show_default=True, help="The detector's threshold.")
@click.option("--threads", default=2, show_default=True)
@click.option("--verbose", is_flag=True, help="Show every look.")
def main(
    *,
    clip: Path | None,
    synthetic: int | None,
    seconds: float,
    images: Path | None,
    models: Path,
    min_score: float,
    threads: int,
    verbose: bool,
) -> None:
    """Say what the models alone would alert on; exit 1 if that differs from the truth."""
    pair = Models(Path(models), threads)
    good = True
    if images:
        found = [f for image in _photographs(images) for f in pair.judge(image, min_score)]
        guns = sum(f.label in GUNS and f.label_score >= CONFIRM_SCORE for f in found)
        click.echo(f"{images}: {len(found)} detections, {guns} of them confirmed as guns")
        good = not guns
    if clip:
        truth = clip.with_suffix(".json")
        known = json.loads(truth.read_text())["episodes"] if truth.exists() else []
        fps = cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FPS)
        good &= _played(follow(pair, _clip_frames(clip), fps, min_score), known, str(clip), verbose)
    if synthetic is not None:
        scene = SyntheticScene(synthetic)
        truths = [{"label": e.label, "start_s": e.start_s, "end_s": e.end_s}
                  for e in scene.episodes(seconds)]  # fmt: skip
        # Up to the last episode's end: a card that comes later is in no truth.
        last_s = max((e.end_s for e in scene.episodes(seconds)), default=seconds) + 0.5
        frames = (scene.frame(index) for index in range(round(last_s * scene.fps)))
        tracks = follow(pair, frames, scene.fps, min_score)
        good &= _played(tracks, truths, f"synthetic camera {synthetic}", verbose)
    raise SystemExit(0 if good else 1)


def _played(
    tracks: list[Track], episodes: list[dict[str, object]], name: str, verbose: bool
) -> bool:
    lines, good = compare(tracks, episodes)
    click.echo(
        f"{name}: {len(tracks)} tracks, {'as it should be' if good else 'NOT as it should be'}"
    )
    click.echo("\n".join(lines))
    if verbose:
        _show_looks(tracks)
    return good


if __name__ == "__main__":
    main()
