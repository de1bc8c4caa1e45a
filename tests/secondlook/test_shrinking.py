import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.shrinking import Image, shrunk

SIDES = st.integers(1, 90)


def picture(height: int, width: int) -> Image:
    """A smooth one, as cameras make them."""
    down, across = np.mgrid[0:height, 0:width]
    plane = 40 + 150 * down / max(1, height - 1) * 0.5 + 60 * across / max(1, width - 1)
    return np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("size", "max_width", "expected"),
    [
        ((1080, 1920), 1280, (720, 1280)),
        ((1080, 1920), 640, (360, 640)),
        ((1440, 2560), 1280, (720, 1280)),
        ((2160, 3840), 1500, (844, 1500)),
        ((4, 4000), 320, (1, 320)),
        ((480, 640), 1280, (480, 640)),
    ],
)
def test_a_picture_gets_the_size_that_is_wanted(size, max_width, expected) -> None:
    assert shrunk(picture(*size), max_width).shape == (*expected, 3)


def test_noise_is_averaged_out() -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    assert shrunk(noisy, 256).std() < noisy.std() / 4


@given(SIDES, SIDES, st.integers(1, 100))
def test_whatever_the_size_the_brightness_stays(height: int, width: int, max_width: int) -> None:
    image = picture(height, width)
    before = image.copy()
    small = shrunk(image, max_width)
    assert small.shape[1] == min(width, max_width)
    assert small.shape[0] == max(1, round(height * small.shape[1] / width))
    assert small is not image
    assert (image == before).all()
    assert image.min() <= small.min() <= small.max() <= image.max()
    if min(small.shape[:2]) > 8:  # what is left over at the edges has its own brightness
        assert abs(float(small.mean()) - float(image.mean())) < 8
