"""Chooses the detector's threshold for recall, on held-out scenes, and writes it with its curve.

`python -m training.operating_point --scenes 400`
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import numpy as np

from producers.cards import Image
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from training.cards.compose import Box, Scene, compose
from training.check import Models

SEED = 800_000
"""No training run uses this seed."""
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
_FLOOR = 0.01
_SAME = 0.5
"""Intersection over union from which a detection is of a card."""
_ELSEWHERE = 0.3
"""Intersection over union up to which a detection is of no card."""
_REFERENCE_WIDTH = 1280
"""Width of the frames in which `MIN_WIDTH` counts; others are measured against it."""


class Point(NamedTuple):
    """What the detector does at a threshold."""

    min_score: float
    found: int
    cards: int
    false_per_image: float

    @property
    def recall(self) -> float:
        """The part of the cards that is found."""
        return self.found / max(self.cards, 1)


def same(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / max(both - shared, 1e-9)


def count(scene: Scene, found: list[tuple[Box, float]]) -> tuple[list[float], list[float]]:
    """Return the best score on each suspect card and the score of each false detection."""
    width = scene.image.shape[1]
    suspects = [card for card in scene.cards if card.card.label != "blank"]
    wide = MIN_WIDTH * width / _REFERENCE_WIDTH
    wanted = [c for c in suspects if c.visible >= MIN_VISIBLE and c.box[2] - c.box[0] >= wide]
    best = [max((s for b, s in found if same(b, c.box) >= _SAME), default=0.0) for c in wanted]
    false = [s for b, s in found if all(same(b, c.box) < _ELSEWHERE for c in suspects)]
    return best, false


def curve(best: list[float], false: list[float], images: int) -> list[Point]:
    """Return the points of the curve, the lowest threshold first."""
    return [
        Point(t, sum(s >= t for s in best), len(best), sum(s >= t for s in false) / images)
        for t in THRESHOLDS
    ]


def choose(points: list[Point], recall: float) -> Point:
    """Return the highest threshold that reaches this recall, or the lowest one if none does."""
    reached = [point for point in points if point.recall >= recall]
    return reached[-1] if reached else points[0]


@click.command()
@click.option("--repository", default="model_repository", type=click.Path(path_type=Path))
@click.option("--scenes", default=400, show_default=True)
@click.option("--recall", default=0.95, show_default=True, help="To be reached at least.")
@click.option("--photographs", type=click.Path(exists=True, path_type=Path), help="Backgrounds.")
@click.option("--write", is_flag=True, help="Put the threshold into the model's configs.")
def main(
    *, repository: Path, scenes: int, recall: float, photographs: Path | None, write: bool
) -> None:
    """Print the curve, choose the point and, if wanted, write both."""
    models = Models(repository, threads=2)
    behind = [_read(path) for path in sorted(photographs.glob("*.jpg"))] if photographs else []
    best: list[float] = []
    false: list[float] = []
    for index in range(scenes):
        scene = compose(SEED, index, behind)
        on_cards, elsewhere = count(scene, models.detect(scene.image, _FLOOR))
        best += on_cards
        false += elsewhere
    points = curve(best, false, scenes)
    chosen = choose(points, recall)
    for point in points:
        mark = "  <- chosen" if point == chosen else ""
        click.echo(f"score >= {point.min_score:.2f}: {point.found} of {point.cards} cards "
                   f"({point.recall:.3f}), {point.false_per_image:.2f} false an image"
                   + mark)  # fmt: skip
    if write:
        _write(repository / "yolov5", points, chosen)


def _read(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise click.ClickException(f"{path} is no image: remove it")
    return np.asarray(image, np.uint8)


def _write(model: Path, points: list[Point], chosen: Point) -> None:
    report = {"min_score": chosen.min_score, "curve": [point._asdict() for point in points]}
    (model / "operating_point.json").write_text(json.dumps(report, indent=1) + "\n")
    pattern = re.compile(r'(key: "min_score" value: \{ string_value: ")[^"]*')
    for config in (model / "config.pbtxt", *sorted((model / "configs").glob("*.pbtxt"))):
        config.write_text(pattern.sub(rf"\g<1>{chosen.min_score}", config.read_text()))


if __name__ == "__main__":
    main()
