"""Cameras that are not there, and captures that give rubbish."""

import socket
from typing import Any

import cv2
import numpy as np
import pytest

from producers import cameras
from producers.cameras import OpenedCamera, open_rtsp, open_webcam, retrieve
from producers.sources import Damaged, LoginRefused, Rtsp, Webcam
from secondlook.errors import SourceError


class Capture:
    """What OpenCV might give back."""

    def __init__(self, image: Any = None, *, opened: bool = True, size=(640, 480)) -> None:
        self.image = image
        self.opened = opened
        self.size = size
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def grab(self) -> bool:
        return self.image is not None

    def retrieve(self):
        if isinstance(self.image, Exception):
            raise self.image
        return self.image is not None, self.image

    def get(self, number: int) -> float:
        sizes = {cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}
        return float(sizes.get(number, 0))

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize(
    ("image", "said"),
    [
        pytest.param(None, "cannot be decoded", id="nothing"),
        pytest.param(np.zeros((0, 0, 3), np.uint8), "cannot be decoded", id="0x0"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), "1x1 pixels", id="one-pixel"),
        pytest.param(np.zeros((20, 20), np.uint8), "the shape", id="grey"),
        pytest.param(np.zeros((20, 20, 4), np.uint8), "the shape", id="four-channels"),
        pytest.param(np.zeros((20, 20, 3), np.uint16), "the shape", id="sixteen-bits"),
        pytest.param(cv2.error("corrupt"), "cannot be decoded", id="library-error"),
        pytest.param(np.zeros((17_000, 16, 3), np.uint8), "16x17000", id="absurdly-high"),
    ],
)
def test_a_picture_that_cannot_be_used_is_damaged(image, said) -> None:
    capture: Any = Capture(image)
    with pytest.raises(Damaged, match=said):
        retrieve(capture)


def test_a_stream_that_ends_is_a_sentence_and_time_runs_from_its_opening() -> None:
    capture: Any = Capture(np.zeros((48, 64, 3), np.uint8))
    camera = OpenedCamera(capture)
    assert 0 <= camera.grab() <= camera.grab()
    capture.image = None
    with pytest.raises(SourceError, match="the stream ended"):
        camera.grab()


def test_a_webcam_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(SourceError, match="there is no /dev/video7777"):
        open_webcam(Webcam(7777, None, None))


@pytest.fixture
def listening():
    """A port that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Rtsp(f"rtsp://me:hunter2@127.0.0.1:{server.getsockname()[1]}/live")


def open_with(monkeypatch, address: Rtsp, capture: Capture, *said: str) -> OpenedCamera:
    monkeypatch.setattr(cameras.cv2, "VideoCapture", lambda *_: capture)  # type: ignore[attr-defined]  # imported there
    lines = ["an older complaint", *said]
    return open_rtsp(address, lambda: lines.pop(0) if lines else "")


@pytest.mark.parametrize("said", ["method DESCRIBE failed: 401 Unauthorized", "403 Forbidden"])
def test_a_refused_login_is_told_apart(monkeypatch, listening, said) -> None:
    with pytest.raises(LoginRefused, match="refuses the username or password") as caught:
        open_with(monkeypatch, listening, Capture(opened=False), said)
    assert "hunter2" not in str(caught.value)


def test_another_complaint_is_passed_on_and_an_older_one_is_not(monkeypatch, listening) -> None:
    with pytest.raises(SourceError, match=r"sends no video: 404 Not Found$"):
        open_with(monkeypatch, listening, Capture(opened=False), "404 Not Found")


def test_a_stream_of_an_absurd_size_is_not_opened(monkeypatch, listening) -> None:
    capture = Capture(size=(40_000, 30_000))
    with pytest.raises(SourceError, match="40000x30000"):
        open_with(monkeypatch, listening, capture)
    assert capture.released


def test_a_camera_that_is_away_is_named_by_its_host_and_port_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match=f"nothing answers at 127.0.0.1:{port}") as caught:
        open_rtsp(Rtsp(f"rtsp://me:hunter2@127.0.0.1:{port}/live"), str)
    assert "hunter2" not in str(caught.value)
