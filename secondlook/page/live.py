"""Live pictures: the newest frame of a camera as JPEG, made when somebody asks and no sooner.

Reads the frame store and writes nothing there. Where the store is on another machine, or belongs
to another user, there is no live picture and a sentence that says so.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.adapters.frames import FrameReader
from secondlook.errors import FrameExpired, SecondLookError
from secondlook.messages import FrameRef
from secondlook.page.framing import Frames
from secondlook.shrinking import shrunk

EVERY_S = 1.0
"""At most one picture of a camera in this time, however many look."""
MAX_WIDTH = 960
QUALITY = 75
ELSEWHERE = "The frame store cannot be read from here, so there is no live picture."
NOT_YET = "No frame has come yet."
GONE = "The frame was gone before it could be read."


class NoPicture(SecondLookError):
    """There is no live picture; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame for people."""

    frame: FrameRef
    jpeg: bytes


class Live:
    """The live picture of one camera.

    Args:
        reader: Reads the frame store.
        folder: The camera's own in it.
        frames: Which frames there are.
    """

    def __init__(self, reader: FrameReader, folder: Path, frames: Frames) -> None:
        self._reader = reader
        self._folder = folder
        self._frames = frames
        self._lock = asyncio.Lock()
        self._last: Picture | None = None
        self._made_s = -EVERY_S

    async def picture(self, seen: str | None) -> Picture | None:
        """Return the newest picture.

        Args:
            seen: The frame that the viewer has; it waits until a newer one may be made.

        Returns:
            The picture; None if there is none newer than `seen`.

        Raises:
            NoPicture: There is none at all.
        """
        async with self._lock:
            wait_s = self._made_s + EVERY_S - time.monotonic()
            if wait_s > 0:
                if self._last is not None and self._last.frame.id != seen:
                    return self._last
                await asyncio.sleep(wait_s)
            candidates = self._frames.candidates()
            if not candidates:
                raise NoPicture(NOT_YET)
            if candidates[0].id == seen:
                return None
            self._made_s = time.monotonic()
            self._last = await asyncio.to_thread(self._make, candidates)
            return self._last

    def _make(self, candidates: list[FrameRef]) -> Picture:
        for ref in candidates:
            try:
                image = self._reader.read(ref)
            except FrameExpired:
                continue
            return Picture(ref, encoded(image))
        raise NoPicture(GONE if _readable(self._folder) else ELSEWHERE)


def encoded(image: NDArray[np.uint8]) -> bytes:
    """Return a picture as JPEG, at most `MAX_WIDTH` pixels wide.

    Args:
        image: uint8 [height, width, 3], BGR.
    """
    image = shrunk(image, MAX_WIDTH)
    fine, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not fine:
        raise NoPicture("The frame cannot be shown.")
    return jpeg.tobytes()


def _readable(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
