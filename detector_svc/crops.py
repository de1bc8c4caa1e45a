"""How a detection becomes evidence: which ones count, what is cut out, how it is packed.

No I/O: arrays in, arrays and bytes out.
"""

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detector_svc.looks import Appearance
from detector_svc.tracks import Xyxy
from detector_svc.yolo import Detections
from secondlook.messages import Box

MAX_SIDE = 640
"""A larger cut-out is shrunk to this: several times what a classifier takes, and its JPEG stays
far below what a message may hold. `region` tells where in the frame it was."""
TINY = 16
_SAMPLES = 4 * TINY

Image = NDArray[np.uint8]


def in_zones(
    detections: Detections,
    zones: Iterable[Sequence[tuple[float, float]]],
    width: int,
    height: int,
) -> Detections:
    """Return the detections whose centre lies in one of the zones, its edge included.

    Args:
        detections: Boxes in frame pixels.
        zones: Polygons with corners (x, y) as parts of the frame's width and height. None at
            all means the whole frame.
        width: Of the frame, pixels.
        height: Of the frame, pixels.
    """
    polygons = [np.array(zone, np.float32) * (width, height) for zone in zones]
    if not polygons or not len(detections):
        return detections
    centres = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
    inside = [
        any(
            cv2.pointPolygonTest(p.astype(np.float32), (x, y), measureDist=False) >= 0
            for p in polygons
        )
        for x, y in centres.tolist()
    ]
    return detections[np.array(inside, bool)]


def whole_box(box: Xyxy, width: int, height: int) -> Box | None:
    """Return a box in whole pixels within the frame; None if nothing of it is left."""
    x1, y1 = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    x2, y2 = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    return Box(x1=x1, y1=y1, x2=x2, y2=y2) if x1 < x2 and y1 < y2 else None


def region_of(box: Box, margin: float, width: int, height: int) -> Box:
    """Return what is cut out for a box: with `margin` of its size on each side, clipped."""
    across, down = margin * box.width, margin * box.height
    region = whole_box(
        (box.x1 - across, box.y1 - down, box.x2 + across, box.y2 + down), width, height
    )
    return region or box


def cut(image: Image, region: Box) -> Image:
    """Return the part of a frame in `region`, without copying."""
    return image[region.y1 : region.y2, region.x1 : region.x2]


def appearance(part: Image) -> Appearance:
    """Return the tiny picture of a cut-out, uint8 of shape (16, 16, 3), for `looks`."""
    # Every k-th pixel is enough for so small a picture, and ten times cheaper on a large one.
    down, across = max(1, part.shape[0] // _SAMPLES), max(1, part.shape[1] // _SAMPLES)
    sampled = part[::down, ::across]
    return np.asarray(cv2.resize(sampled, (TINY, TINY), interpolation=cv2.INTER_AREA), np.uint8)


def encode(part: Image, quality: int) -> bytes:
    """Return a cut-out as JPEG, shrunk if its longer side is more than `MAX_SIDE`.

    Raises:
        ValueError: It cannot be encoded.
    """
    height, width = part.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    try:
        done, packed = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise ValueError(f"a cut-out of {width}x{height} cannot be encoded") from error
    if not done:
        raise ValueError(f"a cut-out of {width}x{height} cannot be encoded")
    return packed.tobytes()
