import cv2
import numpy as np
import pytest

from classifier_svc.pictures import encode, read_crop
from secondlook.errors import Unreadable
from secondlook.jpeg import comment_of, jpeg_size, with_comment
from secondlook.shrinking import shrunk

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


def noise(width: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (width // 2, width, 3), dtype=np.uint8)


def test_a_picture_is_encoded_as_it_is_while_it_fits() -> None:
    data = encode(lambda width: shrunk(SMOOTH, width), 1280, 50_000, "yard-1.0")
    assert decoded(data).shape == SMOOTH.shape
    assert comment_of(data) == "yard-1.0"


@pytest.mark.parametrize("most_bytes", [5_000, 50_000, 300_000])
def test_whatever_is_painted_keeps_the_limit(most_bytes: int) -> None:
    image = noise(1000)
    asked: list[int] = []

    def paint(width: int) -> np.ndarray:
        asked.append(width)
        return shrunk(image, width)

    data = encode(paint, 1280, most_bytes, "yard-1.0")
    assert len(data) <= most_bytes
    assert comment_of(data) == "yard-1.0"
    assert asked == sorted(asked, reverse=True), "coarser before smaller"
    assert decoded(data).shape[1] == min(1000, asked[-1])


def test_a_limit_that_nothing_keeps_ends_with_the_smallest_picture() -> None:
    data = encode(lambda width: shrunk(noise(1000), width), 1280, 100, "yard-1.0")
    assert decoded(data).shape[1] < 107


def test_a_jpeg_without_a_comment_has_none() -> None:
    assert comment_of(jpeg()) is None
    assert comment_of(b"") is None
