"""JPEG in and out: crops read with suspicion, pictures written within a limit. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.errors import Unreadable
from secondlook.jpeg import jpeg_size, with_comment
from secondlook.messages import Box

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR."""

MAX_PIXELS = 40_000_000
"""A crop is a part of a frame; a JPEG of a few kilobytes can claim to be far larger."""
MIN_SIDE = 2
QUALITIES = (85, 75, 65, 50)
LEAST_WIDTH = 80
COMMENT_BYTES = 4
"""A comment's own marker and length."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The JPEGs of an alert, each with its `snapshot_id` in the comment."""

    snapshot: bytes
    crop: bytes | None = None
    """The cut-out without drawing; empty: there is none; None: not wanted."""
    clean: bytes | None = None
    """The frame without drawing, else the cut-out; likewise."""


def read_crop(jpeg: bytes, region: Box | None = None) -> Image:
    """Decode a crop.

    Args:
        jpeg: As it came.
        region: Where it was cut out; it shows no more pixels than that.

    Raises:
        Unreadable: It is no JPEG, is damaged, or its size is absurd.
    """
    width, height = jpeg_size(jpeg)
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise Unreadable(f"a picture of {width} x {height} pixels is no crop")
    if region is not None and (width > region.width or height > region.height):
        raise Unreadable(
            f"a picture of {width} x {height} pixels, cut out of {region.width} x {region.height}"
        )
    # Turning it as a camera's tag says would turn it away from its box.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
    except cv2.error as error:
        raise Unreadable("a JPEG that cannot be decoded") from error
    if image is None or image.size == 0:
        raise Unreadable("a JPEG that cannot be decoded")
    return image.astype(np.uint8, copy=False)


def encode(paint: Callable[[int], Image], max_width: int, max_bytes: int, comment: str) -> bytes:
    """Return a picture as a JPEG of limited size; rather coarser than small, then smaller.

    Args:
        paint: Given a width, returns the picture at most that wide.
        max_width: To begin with.
        max_bytes: Of the JPEG; kept unless not even a tiny picture fits.
        comment: Put into the JPEG.
    """
    room = max_bytes - len(comment.encode()) - COMMENT_BYTES
    width, jpeg = max_width, b""
    while not jpeg or (len(jpeg) > room and width > LEAST_WIDTH):
        image = paint(width)
        for quality in QUALITIES:
            fine, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if not fine:
                raise ValueError(f"a picture of shape {image.shape} cannot be encoded")
            jpeg = encoded.tobytes()
            if len(jpeg) <= room:
                break
        width = min(width, image.shape[1]) * 3 // 4
    return with_comment(jpeg, comment)
