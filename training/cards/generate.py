"""Writes training scenes: images with YOLO labels for the detector, crops for the classifier.

`python -m training.cards.generate --out runs/cards --scenes 8000`
"""

import json
import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
from rich.progress import track

from producers.cards import Image
from training.cards.compose import Scene, compose
from training.cards.cutting import CLASSES, crops
from training.cards.photographs import SIDES, Side, photographs

CANVAS = 640
"""The longer side of the detector's images."""
_MIN_CANVAS_HEIGHT = 7
_MIN_VISIBLE = 0.35
_photographs: list[Image] = []


def yolo_lines(scene: Scene) -> list[str]:
    """Return the scene's YOLO labels: `0 x y width height`, parts of the frame, one per suspect."""
    height, width = scene.image.shape[:2]
    lines = []
    for placed in scene.cards:
        left, top, right, bottom = placed.box
        low = (bottom - top) * CANVAS / max(height, width) < _MIN_CANVAS_HEIGHT
        if placed.card.label == "blank" or placed.visible < _MIN_VISIBLE or low:
            continue
        middle = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        size = ((right - left) / width, (bottom - top) / height)
        lines.append("0 " + " ".join(f"{value:.6f}" for value in (*middle, *size)))
    return lines


def side_of(index: int) -> str:
    """Return on which side of the split a scene stands, for ever."""
    return "val" if index % 40 == 1 else "train"


def crop_name(seed: int, index: int, number: int) -> str:
    """Return a crop's file name: the part before `__` is the recording it comes from."""
    return f"{seed}-{index:06d}__{number}.jpg"


def write_scene(index: int, *, seed: int, out: Path) -> int:
    """Write one scene and its crops; return how many crops."""
    side = side_of(index)
    scene = compose(seed, index, _photographs)
    name = f"{seed}-{index:06d}"
    height, width = scene.image.shape[:2]
    scale = CANVAS / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(scene.image, size, interpolation=cv2.INTER_LINEAR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    cv2.imwrite(str(out / "images" / side / f"{name}.jpg"), small, quality)
    (out / "labels" / side / f"{name}.txt").write_text("\n".join(yolo_lines(scene)) + "\n")
    random = np.random.default_rng([seed, index, 1])
    count = 0
    for count, (label, crop) in enumerate(crops(random, scene), 1):
        path = out / "crops" / side / label / crop_name(seed, index, count)
        cv2.imwrite(str(path), crop, quality)
    return count


def _prepare(folder: Path | None, side: Side) -> None:
    """Read the photographs of a process that draws scenes, and keep it to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    cv2.setNumThreads(1)
    _photographs[:] = photographs(folder, side)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/cards"))
@click.option("--scenes", type=click.IntRange(min=1), default=8000, show_default=True)
@click.option("--first", default=0, show_default=True, help="Index of the first scene.")
@click.option(
    "--seed", default=1, show_default=True, help="800000 and above are for judging, not training."
)
@click.option(
    "--photographs",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of JPEG photographs to use as backgrounds.",
)
@click.option(
    "--side",
    type=click.Choice(SIDES),
    default="train",
    show_default=True,
    help="Which photographs: each belongs to one side for ever, by its file name.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def main(
    *, out: Path, scenes: int, first: int, seed: int, folder: Path | None, side: Side,
    processes: int,
) -> None:  # fmt: skip
    """Draw scenes and write them for both trainings; deterministic from the seed.

    In OUT: images/ and labels/ for YOLO with data.yaml, and crops/train/LABEL/*.jpg for the
    classifier. One scene in forty goes to images/val and crops/val.
    """
    for part in ("train", "val"):
        for path in (f"images/{part}", f"labels/{part}", *(f"crops/{part}/{c}" for c in CLASSES)):
            (out / path).mkdir(parents=True, exist_ok=True)
    photographs(folder, side)  # a wrong folder is said here, once
    work = partial(write_scene, seed=seed, out=out)
    # Forked children would inherit OpenCV's threads in whatever state they are: started anew.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(processes, _prepare, (folder, side)) as pool:
        drawn = pool.imap_unordered(work, range(first, first + scenes), chunksize=8)
        cut = sum(track(drawn, "Drawing scenes", total=scenes))
    data = {"path": str(out.resolve()), "train": "images/train", "val": "images/val"}
    # JSON is YAML too, and this is all the detector's tool needs.
    (out / "data.yaml").write_text(json.dumps({**data, "nc": 1, "names": ["suspect"]}))
    click.echo(f"{scenes} scenes, {cut} crops in {out}")


if __name__ == "__main__":
    main()
