"""Sources that are files: a clip, and a folder of pictures."""

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from producers.cameras import retrieve
from producers.gate import Gate
from producers.sources import Clip, Damaged, Folder, SourceEnded, check_size
from secondlook.errors import SourceError

SECOND_NS = 1_000_000_000
USUAL_FPS = 25.0
NEARLY_ALL = 0.95
"""The number of pictures that a clip announces is an estimate in some formats."""


class Playback:
    """Makes media time pass at the speed of the clock, or does not."""

    def __init__(self, *, realtime: bool) -> None:
        self._realtime = realtime
        self._start_ns: int | None = None

    def wait_for(self, media_ns: int) -> None:
        """Return when it is time for the picture at `media_ns`."""
        if not self._realtime:
            return
        now = time.monotonic_ns()
        if self._start_ns is None:
            self._start_ns = now - media_ns
        early_ns = self._start_ns + media_ns - now
        if early_ns > 0:
            time.sleep(early_ns / SECOND_NS)
        elif early_ns < -SECOND_NS:
            # The machine was suspended or is too slow: go on from here, without a burst.
            self._start_ns -= early_ns


class OpenedClip:
    """A video file as a `Source`; its times are the clip's own, carried on over loops.

    Raises:
        SourceError: There is no such file, or it is no video.
    """

    may_stand_still = False

    def __init__(self, address: Clip) -> None:
        self._path = address.path
        self._loop = address.loop
        self.live = address.realtime
        self._playback = Playback(realtime=address.realtime)
        self._capture = self._open()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps: float | None = rate if 0 < rate <= 1000 else USUAL_FPS  # noqa: PLR2004 - some formats give a clock rate
        self._frame_ns = round(SECOND_NS / self.fps)
        self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._read = 0
        self._offset_ns = 0
        self._media_ns = -1
        self._gate = Gate(address.gate)

    def grab(self) -> int:
        """Wait for the next picture and return its time in the clip."""
        self._gate.wait()
        if not self._capture.grab():
            self._begin_again()
            if not self._capture.grab():
                raise SourceError(f"no picture can be read from {self._path}")
        at_ns = self._offset_ns + round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if at_ns <= self._media_ns:  # damaged, or a format without times
            at_ns = self._media_ns + self._frame_ns
        self._media_ns = at_ns
        self._read += 1
        self._playback.wait_for(at_ns)
        return at_ns

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture grabbed last."""
        self._gate.passed()
        return retrieve(self._capture)

    def close(self) -> None:
        """Close the file."""
        self._gate.close()
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        if not self._path.is_file():
            raise SourceError(f"there is no file {self._path}")
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceError(f"{self._path} is no video, or its end is missing")
        size = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        try:
            check_size(int(size[0]), int(size[1]))
        except Damaged:
            capture.release()
            raise
        return capture

    def _begin_again(self) -> None:
        if not self._read:
            raise SourceError(f"no picture can be read from {self._path}")
        if not self._loop:
            raise SourceEnded(self._how_it_ended())
        self._capture.release()
        self._capture = self._open()
        self._offset_ns = self._media_ns + self._frame_ns
        self._read = 0

    def _how_it_ended(self) -> str:
        if self._read < self._announced * NEARLY_ALL:
            return (
                f"the clip ended early: {self._path} is damaged, "
                f"{self._read} of {self._announced} pictures could be read"
            )
        return f"the clip ended: {self._read} pictures"


class OpenedFolder:
    """A folder of pictures as a `Source`, in the order of their names.

    Raises:
        SourceError: There is no such folder, or no file in it.
    """

    may_stand_still = True

    def __init__(self, address: Folder, fps: float) -> None:
        if not address.path.is_dir():
            raise SourceError(f"there is no folder {address.path}")
        self._folder = address.path
        self._files = sorted(
            p for p in address.path.iterdir() if p.is_file() and not p.name.startswith(".")
        )
        if not self._files:
            raise SourceError(f"{address.path} is empty")
        self.fps: float | None = address.fps or fps
        self.live = address.realtime
        self._interval_ns = SECOND_NS / (address.fps or fps)
        self._loop = address.loop
        self._playback = Playback(realtime=address.realtime)
        self._index = -1
        self._tried = self._good = 0
        self._gate = Gate(address.gate)

    def grab(self) -> int:
        """Wait until it is the next file's turn."""
        self._gate.wait()
        self._index += 1
        if self._index % len(self._files) == 0 and self._index:
            self._finish_round()
        at_ns = round(self._index * self._interval_ns)
        self._playback.wait_for(at_ns)
        return at_ns

    def picture(self) -> NDArray[np.uint8]:
        """Read the file whose turn it is."""
        self._tried += 1
        image = read_picture(self._files[self._index % len(self._files)])
        self._good += 1
        self._gate.passed()
        return image

    def close(self) -> None:
        """Let go of the gate; nothing else is open."""
        self._gate.close()

    def _finish_round(self) -> None:
        if self._tried and not self._good:
            raise SourceError(f"{self._folder} holds no picture that can be read")
        if not self._loop:
            raise SourceEnded(f"the folder ended: {self._good} pictures")
        self._tried = self._good = 0


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture file as uint8 [height, width, 3], BGR.

    Raises:
        Damaged: It is no picture, or its size is beyond use.
    """
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OPENCV_IO_MAX_IMAGE_PIXELS
        image = None
    if image is None:
        raise Damaged(f"{path.name} is no picture that can be read")
    check_size(image.shape[1], image.shape[0])
    return np.asarray(image, np.uint8)
