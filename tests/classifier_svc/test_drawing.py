"""What people see: whether it can be read is measured in pixels, at every size."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.drawing import Caption, annotated
from classifier_svc.pictures import Image
from secondlook.messages import Box
from secondlook.shrinking import shrunk

CAPTION = Caption(
    "small_gun 0.97", ["front_door", "2026-11-22 07:13:20 CET", "found as suspect 0.62"]
)
LONGEST = Caption(f"{'w' * 32} 0.97", ["w" * 32, "2026-11-22 07:13:20 CET", f"{'w' * 40} 0.62"])
WIDTHS = [64, 320, 640, 1280, 1920, 3840]


def grey(width: int, height: int) -> Image:
    image = np.full((height, width, 3), 128, np.uint8)
    image.setflags(write=False)
    return image


def middle(width: int, height: int) -> Box:
    return Box(x1=width // 3, y1=height // 3, x2=width // 2, y2=height // 2)


def white(image: Image) -> np.ndarray:
    """Where there is writing."""
    return np.asarray((image > 200).all(axis=2))


def heights(image: Image) -> list[int]:
    """The heights of the lines of writing."""
    rows = np.flatnonzero(white(image).any(axis=1))
    return [len(run) for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)]


@pytest.mark.parametrize("width", WIDTHS)
def test_writing_is_large_enough_to_read_and_all_of_it_is_there(width: int) -> None:
    height = width * 9 // 16
    drawn = annotated(grey(width, height), middle(width, height), CAPTION, 7680)
    shown = drawn.shape[1]
    strip = drawn[round(height * shown / width) :]
    assert min(heights(strip)) >= max(8, shown / 70)
    assert min(heights(drawn)) >= max(8, shown / 70), "the tag at the box"
    # Nothing is cut off: dark all around the writing.
    assert not white(strip)[:, [0, -1]].any()
    assert not white(strip)[[0, -1]].any()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_longest_names_fit(width: int) -> None:
    height = width * 9 // 16
    drawn = annotated(grey(width, height), middle(width, height), LONGEST, 7680)
    assert not white(drawn)[:, [0, -1]].any()


def test_the_picture_itself_is_shrunk_and_not_changed_but_at_the_box() -> None:
    image = grey(1920, 1080)
    drawn = annotated(image, Box(x1=300, y1=300, x2=900, y2=900), CAPTION, 1280)
    assert drawn.shape[1] == 1280
    assert drawn.shape[0] > 720
    blue, _, red = (int(value) for value in drawn[400, 200])
    assert red - blue > 100, "the side of the box"
    assert (drawn[220:580, 220:580] == 128).all(), "what is in it"
    assert (drawn[620:720] == 128).all(), "what is below it"


def test_a_small_picture_is_enlarged_so_that_it_can_be_written_under() -> None:
    drawn = annotated(grey(100, 80), None, CAPTION, 1280)
    assert drawn.shape[1] == 320
    assert (drawn[:256] == 128).all(), "no box, nothing drawn upon it"
    assert len(heights(drawn[256:])) >= 2


def test_a_tall_and_narrow_picture_gets_room_beside_it() -> None:
    drawn = annotated(grey(20, 600), None, CAPTION, 1280)
    assert drawn.shape[1] == 320
    assert drawn.shape[0] < 900


@pytest.mark.parametrize("corner", [(0, 0), (150, 0), (0, 80), (150, 85)])
def test_a_box_at_any_edge_has_its_tag_inside_the_picture(corner: tuple[int, int]) -> None:
    x, y = corner
    box = Box(x1=x, y1=y, x2=x + 10, y2=y + 5)
    drawn = annotated(grey(160, 90), box, CAPTION, 1280)
    tag = white(drawn[:180])
    bare = annotated(grey(160, 90), middle(160, 90), CAPTION, 1280)
    assert tag.sum() == pytest.approx(white(bare[:180]).sum(), rel=0.1)


def test_a_box_as_large_as_the_picture_has_its_tag_in_it() -> None:
    drawn = annotated(grey(640, 360), Box(x1=0, y1=0, x2=640, y2=360), CAPTION, 1280)
    assert heights(drawn[:360])


def test_shrinking_never_enlarges() -> None:
    assert shrunk(grey(100, 50), 320).shape == (50, 100, 3)
    assert shrunk(grey(1000, 500), 320).shape == (160, 320, 3)


def test_what_is_drawn_survives_a_coarse_jpeg() -> None:
    drawn = annotated(grey(320, 180), middle(320, 180), CAPTION, 1280)
    coarse = cv2.imdecode(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1)
    assert coarse is not None
    assert len(heights(coarse.astype(np.uint8)[180:])) == len(heights(drawn[180:]))


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    tag=st.text(max_size=60),
    parts=st.lists(st.text(max_size=60), max_size=5),
    max_width=st.integers(320, 1280),
)
def test_whatever_is_drawn_is_a_picture_of_the_right_width_above_its_text(
    size: tuple[int, int], corners: list[float], tag: str, parts: list[str], max_width: int
) -> None:
    width, height = size
    image = grey(width, height)
    x1, x2 = sorted(round(share * (width - 1)) for share in corners[:2])
    y1, y2 = sorted(round(share * (height - 1)) for share in corners[2:])
    drawn = annotated(
        image, Box(x1=x1, y1=y1, x2=x2 + 1, y2=y2 + 1), Caption(tag, parts), max_width
    )
    assert drawn.dtype == np.uint8
    assert 320 <= drawn.shape[1] <= max(max_width, 320)
    assert drawn.shape[0] > 0
    assert (image == 128).all(), "the original is somebody else's"
