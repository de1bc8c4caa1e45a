"""Small pictures for the report: of crops, and of places in a clip. Reads files."""

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 220
QUALITY = 80
AROUND = 0.8
"""How much of its surroundings a thing in a clip is shown with, in parts of its size."""
Image = NDArray[np.uint8]


def of_file(path: Path) -> str:
    """Return a picture file as a small `data:` address; empty if there is none."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    return "" if image is None else encoded(np.asarray(image, np.uint8))


def of_clip(path: Path, at_s: float, box: tuple[float, float, float, float] | None = None) -> str:
    """Return a frame of a clip, or a place in it, as a small `data:` address.

    Args:
        path: The clip.
        at_s: Time of the frame.
        box: Left, top, right and bottom of what is to be seen; None: the whole frame.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        capture.set(cv2.CAP_PROP_POS_MSEC, at_s * 1000)
        there, frame = capture.read()
    finally:
        capture.release()
    if not there:
        return ""
    image = np.asarray(frame, np.uint8)
    if box is not None:
        left, top, right, bottom = box
        across, down = AROUND * (right - left), AROUND * (bottom - top)
        rows = slice(max(0, int(top - down)), int(bottom + down))
        image = image[rows, max(0, int(left - across)) : int(right + across)]
    return encoded(image) if image.size else ""


def encoded(image: Image) -> str:
    """Return a BGR picture as a small `data:` address."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
