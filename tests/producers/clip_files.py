"""Small video files for tests, made by OpenCV."""

from pathlib import Path

import cv2
import numpy as np


def picture(number: int, *, width: int = 160, height: int = 120, still: bool = False):
    """A grey picture whose brightness tells its number, with noise unless `still`."""
    image = np.full((height, width, 3), 40 + 20 * (0 if still else number % 10), np.uint8)
    if not still:
        noise = np.random.default_rng(number).integers(0, 30, (height // 4, width, 3))
        image[: height // 4] = noise
    return image


def write_clip(
    path: Path,
    frames: int,
    *,
    fps: float = 25.0,
    width: int = 160,
    height: int = 120,
    still: bool = False,
    fourcc: str = "mp4v",
) -> Path:
    """Write `frames` pictures as a video."""
    code = cv2.VideoWriter.fourcc(*fourcc)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, (width, height))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number, width=width, height=height, still=still))
    writer.release()
    return path
