"""Draws for people: a box, what was seen, when; legible at any size. Opens nothing.

Nothing is written over the picture but the tag at the box: what there is to say stands on a
strip below it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from classifier_svc.pictures import Image
from secondlook.messages import Box
from secondlook.shrinking import shrunk, shrunk_size

MIN_WIDTH = 320
"""A narrower picture is enlarged: less has no room for writing."""
MAX_HEIGHT = 720
"""A narrow picture is not enlarged beyond this."""
FONT = cv2.FONT_HERSHEY_DUPLEX
CAPITAL_PX = 21
"""Height of a capital letter of FONT at scale 1."""
LINES = 52
"""So many capital letters would stand above each other in the width of a picture …"""
LEAST_PX = 9
"""… but none is smaller than this."""
RED, WHITE, BLACK, GREY = (40, 40, 210), (255, 255, 255), (0, 0, 0), (32, 32, 32)


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands on a snapshot. ASCII: the font has no other letters."""

    tag: str
    """At the box: the label and its score."""
    parts: Sequence[str]
    """Below the picture, in order, as many on a line as fit."""


def annotated(image: Image, box: Box | None, caption: Caption, max_width: int) -> Image:
    """Return a picture with a box around what matters, and a strip of text below it.

    Args:
        image: The frame, or the crop where the frame is gone; it is not changed.
        box: In pixels of `image`; None: the whole picture is what matters.
        caption: What to write.
        max_width: Of the result.
    """
    scale = min(1.0, max_width / image.shape[1])
    width, height = shrunk_size(image, max_width)
    if image.shape[1] < MIN_WIDTH:
        scale = max(1.0, min(MIN_WIDTH / image.shape[1], MAX_HEIGHT / image.shape[0]))
        width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
    across = max(MIN_WIDTH, width)  # more where it is very tall and narrow
    text_px = max(LEAST_PX, across // LINES)
    parts = caption.parts if box is not None else [caption.tag, *caption.parts]
    lines = list(_lines(parts, text_px, across - 2 * text_px))
    # One picture from the beginning: new memory costs more than what is drawn into it.
    drawn = np.empty((height + text_px + len(lines) * 2 * text_px, across, 3), np.uint8)
    drawn[:height, width:] = drawn[height:] = GREY
    shown = drawn[:height, :width]
    if scale > 1:
        cv2.resize(image, (width, height), dst=shown, interpolation=cv2.INTER_CUBIC)
    else:
        shrunk(image, max_width, shown)
    if box is not None:
        corners = [round(side * scale) for side in (box.x1, box.y1, box.x2, box.y2)]
        _mark(shown, corners, caption.tag, text_px)
    for number, line in enumerate(lines):
        baseline = height + (2 * number + 2) * text_px
        _write(drawn, line, (text_px, baseline), _size(line, text_px, across - text_px))
    return drawn


def _mark(image: Image, corners: Sequence[int], tag: str, text_px: int) -> None:
    """Draw a box, and its tag above it, below it, or inside where there is room nowhere else."""
    x1, y1, x2, y2 = corners
    height, width = image.shape[:2]
    line = max(2, text_px // 6)
    # A dark line around the red one: it is seen on any ground.
    cv2.rectangle(image, (x1 - line, y1 - line), (x2 + line, y2 + line), BLACK, line)
    cv2.rectangle(image, (x1, y1), (x2, y2), RED, line)
    scale = _size(tag, text_px, width - text_px)
    across = cv2.getTextSize(tag, FONT, scale, _thickness(scale))[0][0] + text_px
    strip = 2 * text_px
    left = max(0, min(x1 - line, width - across))
    top = y1 - line - strip
    if top < 0:
        top = y2 + line if y2 + line + strip <= height else max(0, y1)
    cv2.rectangle(image, (left, top), (left + across, top + strip), RED, cv2.FILLED)
    _write(image, tag, (left + text_px // 2, top + strip - text_px // 2), scale)


def _lines(parts: Sequence[str], text_px: int, width: int) -> Iterator[str]:
    """Yield lines of as many parts as fit."""
    line = ""
    for part in parts:
        longer = f"{line}   {part}" if line else part
        if line and _width(longer, text_px / CAPITAL_PX) > width:
            yield line
            longer = part
        line = longer
    if line:
        yield line


def _size(text: str, text_px: int, width: int) -> float:
    """Return the scale of the font; smaller than wanted where the text would not fit."""
    scale = text_px / CAPITAL_PX
    return scale * min(1.0, width / max(1, _width(text, scale)))


def _width(text: str, scale: float) -> int:
    return int(cv2.getTextSize(text, FONT, scale, _thickness(scale))[0][0])


def _thickness(scale: float) -> int:
    return max(1, round(scale * 1.2))


def _write(image: Image, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(image, text, at, FONT, scale, WHITE, _thickness(scale), cv2.LINE_AA)
