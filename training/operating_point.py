"""Chooses a detector's threshold for recall, and writes it with its curve.

On held-out scenes of the demo kit, or on the validation images of any YOLO data set:

`python -m training.operating_point scenes --scenes 400`
`python -m training.operating_point data runs/x/data/data.yaml --model runs/x/model.onnx`
"""

import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from producers.cards import Image
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from training.cards.compose import Scene, compose
from training.cards.photographs import photographs as photographs_of
from training.dataset_files import read
from training.datasets import DatasetError, Picture
from training.fused import FusedDetector
from training.points import FLOOR, Detection, Point, Tally, choose, curve, tally

SEED = 800_000
"""No training run uses this seed, nor any above it."""
_REFERENCE_WIDTH = 1280
"""Width of the frames in which `MIN_WIDTH` counts; others are measured against it."""
SUSPECT = "suspect"


def tally_scene(scene: Scene, found: list[Detection]) -> Tally:
    """Return what the detections of a scene are worth.

    Wanted are the cards that are no blanks, visible and wide enough (`producers/scenes.py`).
    """
    wide = MIN_WIDTH * scene.image.shape[1] / _REFERENCE_WIDTH
    suspects = [card for card in scene.cards if card.card.label != "blank"]
    wanted = [c for c in suspects if c.visible >= MIN_VISIBLE and c.box[2] - c.box[0] >= wide]
    return tally(
        [(SUSPECT, card.box) for card in wanted], [(SUSPECT, card.box) for card in suspects], found
    )


def tally_picture(picture: Picture, found: list[Detection], min_width: float) -> Tally:
    """Return what the detections of a picture are worth.

    Args:
        picture: Of a data set, with its truth.
        found: The detections on it.
        min_width: Narrower things, in pixels of an image 1280 wide, need not be found.
    """
    wide = min_width * picture.width / _REFERENCE_WIDTH
    present = [(thing.label, thing.box) for thing in picture.things]
    return tally([(label, box) for label, box in present if box[2] - box[0] >= wide],
                 present, found)  # fmt: skip


_detector: list[FusedDetector] = []
_photographs: list[Image] = []


def _start(model: Path, labels: tuple[str, ...], photographs: Path | None) -> None:
    cv2.setNumThreads(1)
    _detector[:] = [FusedDetector(model, labels)]
    _photographs[:] = photographs_of(photographs, "judge")


def _one_scene(index: int, seed: int) -> Tally:
    scene = compose(seed, index, _photographs)
    return tally_scene(scene, _detector[0].detect(scene.image, FLOOR))


def _one_picture(picture: Picture, root: Path, min_width: float) -> Tally:
    found = _detector[0].detect(loaded(root / picture.name), FLOOR)
    return tally_picture(picture, found, min_width)


def _tallied(
    work: Callable[[Any], Tally], items: Iterable[Any], start: tuple[Any, ...]
) -> Iterator[Tally]:
    # Not forked: onnxruntime's threads do not survive that.
    processes = multiprocessing.get_context("spawn")
    with processes.Pool(os.cpu_count() or 1, _start, start) as pool:
        yield from pool.imap_unordered(work, items, chunksize=4)


def measure_scenes(
    model: Path, *, scenes: int, photographs: Path | None, seed: int = SEED
) -> Tally:
    """Return what a fused detector of one label finds on held-out scenes, with all cores.

    Of the folder of photographs only those are used that no training sees.
    """
    work = partial(_one_scene, seed=seed)
    return Tally.of(_tallied(work, range(scenes), (model, (SUSPECT,), photographs)))


def measure_data(model: Path, data: Path, *, min_width: float) -> Tally:
    """Return what a fused detector finds on the validation images of a YOLO data set.

    Raises:
        DatasetError: The data set cannot be used.
    """
    dataset = read(data)
    judged = [picture for picture in dataset.pictures if picture.side == "val"]
    work = partial(_one_picture, root=dataset.root, min_width=min_width)
    return Tally.of(_tallied(work, judged, (model, dataset.labels, None)))


def conclude(whole: Tally, *, recall: float, file: Path, source: str) -> Point:
    """Choose the point, print the curve and write both to a JSON file; return the point."""
    points = curve(whole)
    chosen = choose(points, recall)
    for point in points:
        click.echo(point.line() + ("  <- chosen" if point == chosen else ""))
    if chosen.recall < recall:
        click.echo(f"no threshold finds {recall:.0%}: the lowest one is taken")
    report = {
        "min_score": chosen.min_score,
        "recall_wanted": recall,
        "recall": round(chosen.recall, 4),
        "images": whole.images,
        "source": source,
        "curve": [point._asdict() for point in points],
    }
    file.write_text(json.dumps(report, indent=1) + "\n")
    return chosen


def write_min_score(model: Path, min_score: float) -> None:
    """Put the threshold into all configs of a model's folder."""
    pattern = re.compile(r'(key: "min_score" value: \{ string_value: ")[^"]*')
    for config in (model / "config.pbtxt", *sorted((model / "configs").glob("*.pbtxt"))):
        config.write_text(pattern.sub(rf"\g<1>{min_score}", config.read_text()))


def loaded(path: Path) -> Image:
    """Return an image file's pixels, BGR.

    Raises:
        click.ClickException: It is no image.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise click.ClickException(f"{path} is no image: remove it")
    return np.asarray(image, np.uint8)


_EXISTING = click.Path(exists=True, path_type=Path)
_RECALL = click.option("--recall", default=0.95, show_default=True, help="To be reached at least.")


@click.group()
def main() -> None:
    """Choose a detector's threshold for recall; print and write the curve."""


@main.command()
@click.option("--repository", default="model_repository", type=_EXISTING)
@click.option("--scenes", default=400, show_default=True)
@click.option("--photographs", type=_EXISTING, help="Folder of backgrounds.")
@click.option("--write", is_flag=True, help="Put the threshold into the model's configs.")
@_RECALL
def scenes(
    *, repository: Path, scenes: int, photographs: Path | None, write: bool, recall: float
) -> None:
    """Judge the demo kit's detector on scenes that no training saw."""
    model = repository / "yolov5"
    whole = measure_scenes(model / "1/model.onnx", scenes=scenes, photographs=photographs)
    file = model / "operating_point.json" if write else Path(os.devnull)
    chosen = conclude(whole, recall=recall, file=file, source=f"{scenes} scenes of seed {SEED}")
    if write:
        write_min_score(model, chosen.min_score)


@main.command()
@click.argument("data", type=_EXISTING)
@click.option("--model", type=_EXISTING, required=True, help="A fused detector.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON; else beside the model.")
@click.option("--min-width", default=0.0, help="Narrower things (of 1280 px) need not be found.")
@_RECALL
def data(*, data: Path, model: Path, out: Path | None, min_width: float, recall: float) -> None:
    """Judge a fused detector on the validation images of DATA, a YOLO data.yaml."""
    try:
        whole = measure_data(model, data, min_width=min_width)
    except DatasetError as error:
        raise click.ClickException(str(error)) from None
    file = out or model.with_name("operating_point.json")
    conclude(whole, recall=recall, file=file, source=str(data))


if __name__ == "__main__":
    main()
