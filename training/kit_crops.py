"""Cuts the classifier's crops as the trained detector finds them, with all cores.

A detection on a card gets the card's label: that is the detector's own inaccuracy. One that is of
nothing, or of a blank card, is `empty`: its own false finds. Names say the recording, one a scene.
"""

import itertools
import multiprocessing
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np

from producers.cards import Image
from training.cards.compose import Scene, compose
from training.cards.cutting import CLASSES, crops, crops_of_detections
from training.cards.generate import crop_name
from training.cards.photographs import Side, photographs
from training.fused import FusedDetector
from training.negatives import negatives
from training.points import Detection

FLOOR = 0.05
"""Detections below it never come to a classifier."""
_MOST = 6
"""False finds that one scene gives at most: one bad background is not to rule."""
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_PER_TASK = 50

_detector: list[FusedDetector] = []
_behind: list[Image] = []


def found_crops(scene: Scene, found: list[Detection]) -> Iterator[tuple[str, Image]]:
    """Yield label and crop of what a detector found in a scene, the best first."""
    best = sorted(found, key=lambda detection: -detection.score)
    false = 0
    for label, piece in crops_of_detections(scene, (detection.box for detection in best)):
        false += label == "empty"
        if label != "empty" or false <= _MOST:
            yield label, piece


def _start(model: Path | None, folder: Path | None, side: Side) -> None:
    cv2.setNumThreads(1)
    _behind[:] = photographs(folder, side)
    if model:
        _detector[:] = [FusedDetector(model, ("suspect",))]


def _scene(index: int, seed: int, out: Path) -> int:
    scene = compose(seed, index, _behind)
    found = found_crops(scene, _detector[0].detect(scene.image, FLOOR))
    drawn = crops(np.random.default_rng([seed, index, 1]), scene)
    count = 0
    for count, (label, crop) in enumerate(itertools.chain(found, drawn), 1):
        cv2.imwrite(str(out / label / crop_name(seed, index, count)), crop, _QUALITY)
    return count


def _negatives(task: int, seed: int, out: Path) -> int:
    random = np.random.default_rng([seed, task, 2])
    pieces = itertools.islice(negatives(random, _behind), _PER_TASK)
    for number, piece in enumerate(pieces):
        name = f"negative-{seed}-{task:04d}__{number}.jpg"
        cv2.imwrite(str(out / "empty" / name), piece, _QUALITY)
    return _PER_TASK


def draw_crops(
    model: Path, out: Path, seed: int, scenes: range, *, photographs: Path | None, side: Side,
    processes: int,
) -> None:  # fmt: skip
    """Write the crops of scenes into class folders.

    Args:
        model: The fused detector.
        out: Gets a folder for each label.
        seed: Of the scenes.
        scenes: Which of them.
        photographs: Folder of backgrounds; those of `side` are used.
        side: Of the photographs.
        processes: So many work at once.
    """
    work = partial(_scene, seed=seed, out=_folders(out))
    cut = _all(work, scenes, (model, photographs, side), processes)
    click.echo(f"{cut} crops of {len(scenes)} scenes in {out}")


def draw_negatives(
    out: Path, count: int, photographs: Path | None, seed: int, *, side: Side, processes: int
) -> None:
    """Write crops of photographs and of drawn vehicles as `empty`, about `count`.

    Without photographs there are vehicles alone, and a third as many.
    """
    tasks = -(-(count if photographs else count // 3) // _PER_TASK)
    work = partial(_negatives, seed=seed, out=_folders(out))
    cut = _all(work, range(tasks), (None, photographs, side), processes)
    click.echo(f"{cut} negatives in {out}")


def _folders(out: Path) -> Path:
    for label in CLASSES:
        (out / label).mkdir(parents=True, exist_ok=True)
    return out


def _all(
    work: "partial[int]", items: range, start: tuple[Path | None, Path | None, Side], processes: int
) -> int:
    # Not forked: onnxruntime's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    with (
        context.Pool(processes, _start, start) as pool,
        click.progressbar(pool.imap_unordered(work, items, chunksize=4), len(items)) as done,
    ):
        return sum(done)
