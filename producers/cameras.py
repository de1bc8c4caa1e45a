"""Cameras that OpenCV can open: network cameras and webcams. Live: the newest picture wins."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from producers.sources import Damaged, LoginRefused, Rtsp, Webcam, check_size
from secondlook.errors import SourceError

PROBE_S = 1.0
OPEN_MS = 10_000
READ_MS = 10_000
"""A connection that is silent for this long is given up, whoever else watches."""
REFUSALS = ("401 ", "403 ", "Unauthorized", "Forbidden")


class OpenedCamera:
    """A capture of OpenCV as a `Source`."""

    live = True
    may_stand_still = False
    fps: float | None = None

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._opened_ns = time.monotonic_ns()

    def grab(self) -> int:
        """Wait for the next picture; its time is the clock's since the opening."""
        if not self._capture.grab():
            raise SourceError(f"the stream ended, or sent nothing for {READ_MS // 1000} s")
        return time.monotonic_ns() - self._opened_ns

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture grabbed last."""
        return retrieve(self._capture)

    def close(self) -> None:
        """End the connection."""
        self._capture.release()


def open_rtsp(address: Rtsp, library_said: Callable[[], str]) -> OpenedCamera:
    """Connect to a network camera, over TCP.

    Args:
        address: The camera.
        library_said: Returns what FFmpeg complained of since the last call.

    Raises:
        LoginRefused: Username or password are wrong.
        SourceError: It cannot be reached, or sends nothing that can be decoded.
    """
    where = f"{address.host}:{address.port}"
    try:
        # Cheap enough to try every second; FFmpeg's own attempt is not.
        socket.create_connection((address.host, address.port), PROBE_S).close()
    except OSError as error:
        raise SourceError(f"nothing answers at {where}: {error.strerror or error}") from error
    # UDP loses packets, which shows as grey smears; TCP does not.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    # With more threads FFmpeg holds back one frame for each of them.
    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    settings += [cv2.CAP_PROP_N_THREADS, 1]
    library_said()  # what it said of earlier attempts
    capture = cv2.VideoCapture(address.url, cv2.CAP_FFMPEG, settings)
    if not capture.isOpened():
        why = library_said()
        if any(word in why for word in REFUSALS):
            raise LoginRefused(f"{where} refuses the username or password")
        raise SourceError(f"{where} answers, but sends no video{f': {why}' if why else ''}")
    return OpenedCamera(_sized(capture))


def open_webcam(address: Webcam) -> OpenedCamera:
    """Open a camera of this machine.

    Raises:
        SourceError: There is none of that number, it may not be used, or it is in use.
    """
    device = Path(f"/dev/video{address.number}")
    if not device.exists():
        raise SourceError(f"there is no {device}; is the camera plugged in and passed on to us?")
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(f"{device} may not be used; add this user to the group video")
    capture = cv2.VideoCapture(address.number, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError(f"{device} cannot be opened; does another program use it?")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if address.width:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, address.width)
    if address.height:
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, address.height)
    return OpenedCamera(capture)


def retrieve(capture: cv2.VideoCapture) -> NDArray[np.uint8]:
    """Return the picture that a capture grabbed last, uint8 [height, width, 3], BGR.

    Raises:
        Damaged: It cannot be decoded, or its size is beyond use.
    """
    try:
        good, image = capture.retrieve()
    except cv2.error as error:
        raise Damaged(f"a picture cannot be decoded: {error.err}") from error
    if not good or image.size == 0:
        raise Damaged("a picture cannot be decoded")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:  # noqa: PLR2004 - BGR
        raise Damaged(f"a picture has the shape {image.shape}, not height, width and 3 colours")
    check_size(image.shape[1], image.shape[0])
    return np.asarray(image, np.uint8)


def _sized(capture: cv2.VideoCapture) -> cv2.VideoCapture:
    """Look at the announced size before anything of that size is allocated."""
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width and height:
        try:
            check_size(width, height)
        except Damaged:
            capture.release()
            raise
    return capture
