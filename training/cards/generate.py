"""Writes training scenes: images with YOLO labels for the detector, crops for the classifier.

`python -m training.cards.generate --out runs/cards --scenes 8000`
"""

import json
import multiprocessing
import os
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np

from producers.cards import Image
from training.cards.compose import Scene, compose
from training.cards.cutting import CLASSES, crops

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
        cv2.imwrite(str(out / "crops" / side / label / f"{name}-{count}.jpg"), crop, quality)
    return count


def _prepare(folder: str | None) -> None:
    cv2.setNumThreads(1)
    for path in sorted(Path(folder).glob("*.jpg")) if folder else []:
        image = cv2.imread(str(path))
        if image is not None:
            _photographs.append(np.asarray(image, np.uint8))


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/cards"))
@click.option("--scenes", default=8000, show_default=True)
@click.option("--first", default=0, show_default=True, help="Index of the first scene.")
@click.option("--seed", default=1, show_default=True)
@click.option("--photographs", help="Folder of JPEG photographs to use as backgrounds.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def main(
    *, out: Path, scenes: int, first: int, seed: int, photographs: str | None, processes: int
) -> None:
    """Draw scenes and write them for both trainings; deterministic from the seed."""
    for side in ("train", "val"):
        for folder in ("images", "labels", *(f"crops/{{}}/{label}" for label in CLASSES)):
            path = out / (folder.format(side) if "{}" in folder else f"{folder}/{side}")
            path.mkdir(parents=True, exist_ok=True)
    work = partial(write_scene, seed=seed, out=out)
    with multiprocessing.Pool(processes, _prepare, (photographs,)) as pool:
        cut = sum(pool.imap_unordered(work, range(first, first + scenes), chunksize=8))
    data = {"path": str(out.resolve()), "train": "images/train", "val": "images/val"}
    # JSON is YAML too, and this is all the detector's tool needs.
    (out / "data.yaml").write_text(json.dumps({**data, "nc": 1, "names": ["suspect"]}))
    click.echo(f"{scenes} scenes, {cut} crops in {out}")


if __name__ == "__main__":
    main()
