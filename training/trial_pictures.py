"""Pictures to try a model on: a folder of the user's, or the demo clip and drawn scenes."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.cards.compose import compose
from training.raw_models import ExportError

Image = NDArray[np.uint8]
COUNT = 24
CLIP = Path(__file__).parents[1] / "producers" / "demo" / "demo.mp4"
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_FROM_CLIP = 16
_SEED = 900_001  # of scenes that no training draws


def pictures(folder: Path | None = None, count: int = COUNT) -> list[Image]:
    """Return up to `count` pictures, (height, width, 3) uint8 BGR.

    Args:
        folder: Searched with its subfolders; None: the demo clip and drawn scenes.
        count: The most; of a larger folder, they are taken evenly.

    Raises:
        ExportError: The folder has no picture that can be read.
    """
    if folder is None:
        drawn = [compose(_SEED, index).image for index in range(1, count - _FROM_CLIP + 1)]
        return [*_frames(min(count, _FROM_CLIP)), *drawn]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    if len(files) > count:
        files = [files[index * len(files) // count] for index in range(count)]
    found = [image for path in files if (image := cv2.imread(str(path))) is not None]
    if not found:
        raise ExportError(f"--images {folder}: there is no picture in it (jpg, png, bmp, webp)")
    return [np.asarray(image, np.uint8) for image in found]


def _frames(count: int) -> Iterator[Image]:
    """Yield frames of the demo clip, evenly over its length."""
    clip = cv2.VideoCapture(str(CLIP))
    try:
        total = int(clip.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = {index * total // count for index in range(count)}
        for number in range(total):
            if not clip.grab():
                return
            if number in wanted:
                _, frame = clip.retrieve()
                yield np.asarray(frame, np.uint8)
    finally:
        clip.release()


def cutouts(images: list[Image]) -> list[Image]:
    """Return what a classifier sees: two pieces of each picture, of different sizes."""
    random = np.random.default_rng(_SEED)
    pieces = []
    for image in images:
        height, width = image.shape[:2]
        for part in (0.15, 0.5):
            tall = max(1, int(height * part))
            wide = max(1, min(width, int(tall * random.uniform(0.5, 1.6))))
            top = int(random.integers(0, height - tall + 1))
            left = int(random.integers(0, width - wide + 1))
            pieces.append(image[top : top + tall, left : left + wide])
    return pieces
