from pathlib import Path

import cv2
import numpy as np
import pytest

from classifier_svc.pictures import (
    comment_of,
    jpeg_size,
    placeholder,
    read_crop,
    snapshot,
    with_comment,
)
from classifier_svc.snapshots import Snapshots
from secondlook.adapters.frames import FrameReader, FrameWriter
from secondlook.errors import Unreadable
from secondlook.messages import Box
from tests.classifier_svc.scene import Scene

SMOOTH = cv2.GaussianBlur(
    np.random.default_rng(3).integers(0, 256, (90, 160, 3), dtype=np.uint8), (15, 15), 0
).astype(np.uint8)


def jpeg(width: int = 160, height: int = 90, *parameters: int) -> bytes:
    image = cv2.resize(SMOOTH, (width, height))
    return cv2.imencode(".jpg", image, list(parameters))[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header states another size."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param((), id="baseline"),
        pytest.param((cv2.IMWRITE_JPEG_PROGRESSIVE, 1), id="progressive"),
        pytest.param((cv2.IMWRITE_JPEG_RST_INTERVAL, 2), id="restart-markers"),
    ],
)
def test_the_size_stands_in_the_header(parameters: tuple[int, ...]) -> None:
    data = jpeg(123, 45, *parameters)
    assert jpeg_size(data) == (123, 45)
    assert jpeg_size(with_comment(data, "x" * 300)) == (123, 45)
    assert read_crop(data).shape == (45, 123, 3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8", id="only-a-start"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), id="png"),
        pytest.param(cv2.imencode(".png", SMOOTH)[1].tobytes(), id="a-real-png"),
        pytest.param(b"\xff\xd8" + bytes(1000), id="zeros"),
        pytest.param(b"\xff\xd8" + b"\xff" * 1000, id="all-ones"),
        pytest.param(jpeg()[:100], id="cut-in-the-header"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x00", id="a-segment-without-length"),
        pytest.param(jpeg(1, 1), id="one-pixel"),
        pytest.param(jpeg(50, 1), id="a-line"),
        pytest.param(claiming(0, 0), id="no-size"),
        pytest.param(claiming(65_000, 65_000), id="a-bomb"),
    ],
)
def test_what_is_no_crop_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_crop(data)


def test_a_crop_is_read_as_bgr() -> None:
    blue = np.zeros((20, 20, 3), np.uint8)
    blue[:, :, 0] = 220
    read = read_crop(cv2.imencode(".jpg", blue)[1].tobytes())
    assert read.dtype == np.uint8
    assert read[10, 10, 0] > 200
    assert read[10, 10, 2] < 30


def test_a_large_picture_becomes_a_snapshot_of_1280_pixels_with_its_id() -> None:
    image = np.full((1080, 1920, 3), 128, np.uint8)
    box = Box(x1=300, y1=300, x2=900, y2=900)
    data = snapshot(image, box, "small_gun 0.97", "yard-1.0")
    drawn = decoded(data)
    assert drawn.shape == (720, 1280, 3)
    assert comment_of(data) == "yard-1.0"
    blue, _, red = (int(value) for value in drawn[400, 200])
    assert red - blue > 100
    assert abs(int(drawn[400, 400, 2]) - 128) < 8


def test_a_small_picture_keeps_its_size_and_is_not_drawn_upon() -> None:
    image = np.full((90, 160, 3), 128, np.uint8)
    image.setflags(write=False)
    assert decoded(snapshot(image, None, "x", "id")).shape == (90, 160, 3)


@pytest.mark.parametrize("corner", [(0, 0), (150, 0), (0, 80), (150, 85)])
def test_a_box_at_any_edge_can_be_drawn(corner: tuple[int, int]) -> None:
    x, y = corner
    box = Box(x1=x, y1=y, x2=x + 9, y2=y + 4)
    assert decoded(snapshot(SMOOTH, box, "umbrella 0.5", "i")).shape == (90, 160, 3)


def test_a_jpeg_without_a_comment_has_none() -> None:
    assert comment_of(jpeg()) is None
    assert comment_of(b"") is None


def test_a_placeholder_is_a_picture_with_an_id() -> None:
    data = placeholder("a test", "yard-1.0")
    assert decoded(data).shape == (360, 640, 3)
    assert comment_of(data) == "yard-1.0"


def change_of(scene: Scene):
    scene.looks((0, "s"), (0.2, "s"))
    return scene.changes[0]


def test_a_snapshot_comes_from_the_frame_while_it_is_there(tmp_path: Path) -> None:
    change = change_of(Scene())
    writer = FrameWriter(tmp_path, "yard", 100_000_000)
    writer.write(change.episode.shown.frame, np.full((1080, 1920, 3), 128, np.uint8))
    snapshots = Snapshots(FrameReader(tmp_path))
    data = snapshots.draw(change, jpeg())
    assert decoded(data).shape == (720, 1280, 3)
    assert comment_of(data) == change.episode.snapshot_id
    assert snapshots.counts == {"frame": 1}
    writer.close()


def test_a_snapshot_of_an_expired_frame_comes_from_the_crop(tmp_path: Path) -> None:
    snapshots = Snapshots(FrameReader(tmp_path))
    data = snapshots.draw(change_of(Scene()), jpeg(100, 80))
    assert decoded(data).shape == (80, 100, 3)
    assert snapshots.counts == {"crop": 1}


@pytest.mark.parametrize("crop", [None, b"rubbish"])
def test_an_alert_without_any_picture_gets_a_note(tmp_path: Path, crop: bytes | None) -> None:
    change = change_of(Scene())
    snapshots = Snapshots(FrameReader(tmp_path))
    assert comment_of(snapshots.draw(change, crop)) == change.episode.snapshot_id
    assert snapshots.counts == {"none": 1}
