"""JPEG in and out: crops read with suspicion, snapshots drawn for people. No I/O."""

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.errors import Unreadable
from secondlook.messages import Box

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR."""

MAX_PIXELS = 40_000_000
"""A crop is a part of a frame; a JPEG of a few kilobytes can claim to be far larger."""
MIN_SIDE = 2
MAX_WIDTH = 1280
QUALITY = 85
COLOUR = (40, 40, 230)
SOI = b"\xff\xd8"
MARKER, COM, SOS = 0xFF, 0xFE, 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return (width, height) as a JPEG's header states them, without decoding it.

    Marker segments are those of ITU-T T.81, annex B.

    Raises:
        Unreadable: It is no JPEG, or has no frame header.
    """
    if not jpeg.startswith(SOI):
        raise Unreadable("not a JPEG")
    at = 2
    while at + 4 <= len(jpeg):
        if jpeg[at] != MARKER:
            break
        marker = jpeg[at + 1]
        if marker == MARKER:
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker in _SIZES and at + 9 <= len(jpeg):
            height = int.from_bytes(jpeg[at + 5 : at + 7], "big")
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), height
        at += 2 + length
    raise Unreadable("a JPEG without a frame header")


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


def snapshot(image: Image, box: Box | None, text: str, snapshot_id: str) -> bytes:
    """Return a picture as JPEG for people, at most 1280 pixels wide.

    Args:
        image: The frame, or the crop where the frame is gone.
        box: Drawn with `text`, in pixels of `image`; None: only the text.
        text: The label and its score.
        snapshot_id: Put into the JPEG's comment.
    """
    scale = min(1.0, MAX_WIDTH / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()
    corner = (0, 0)
    if box is not None:
        corner = (round(box.x1 * scale), round(box.y1 * scale))
        other = (round(box.x2 * scale), round(box.y2 * scale))
        cv2.rectangle(drawn, corner, other, COLOUR, 2)
    _write(drawn, text, corner)
    fine, encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not fine:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded")
    return with_comment(encoded.tobytes(), snapshot_id)


def _write(image: cv2.typing.MatLike, text: str, corner: tuple[int, int]) -> None:
    """Write on a filled strip above the corner, or below it where there is no room."""
    font, size, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1
    (width, height), _ = cv2.getTextSize(text, font, size, thickness)
    strip = height + 8
    left = max(0, min(corner[0], image.shape[1] - width - 4))
    top = corner[1] - strip if corner[1] >= strip else corner[1]
    cv2.rectangle(image, (left, top), (left + width + 4, top + strip), COLOUR, cv2.FILLED)
    at = (left + 2, top + strip - 5)
    cv2.putText(image, text, at, font, size, (255, 255, 255), thickness, cv2.LINE_AA)


def placeholder(text: str, snapshot_id: str, size: tuple[int, int] = (640, 360)) -> bytes:
    """Return a grey picture with a text, for an alert that has no other."""
    image: Image = np.full((size[1], size[0], 3), 96, np.uint8)
    return snapshot(image, None, text, snapshot_id)


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """Return a JPEG with a comment segment (COM, ITU-T T.81 B.2.4.5) right after its start."""
    text = comment.encode()
    return SOI + bytes([MARKER, COM]) + (len(text) + 2).to_bytes(2, "big") + text + jpeg[len(SOI) :]


def comment_of(jpeg: bytes) -> str | None:
    """Return the first comment of a JPEG that has one before its picture."""
    at = len(SOI)
    while jpeg.startswith(SOI) and at + 4 <= len(jpeg) and jpeg[at] == MARKER:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == COM:
            return jpeg[at + 4 : at + 2 + length].decode(errors="replace")
        if jpeg[at + 1] == SOS:
            return None
        at += 2 + length
    return None
