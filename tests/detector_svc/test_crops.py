"""What is cut out of a frame, and how it is packed."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector_svc.crops import MAX_SIDE, appearance, cut, encode, in_zones, region_of, whole_box
from detector_svc.yolo import Detections
from secondlook.messages import Box


def found(*boxes):
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.5, np.float32),
        np.zeros(n, np.int32),
    )


def smooth(height, width):
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    return np.repeat(np.repeat(ramp[None, :, None], height, axis=0), 3, axis=2)


def decoded(jpeg):
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_without_zones_every_detection_counts():
    detections = found((0, 0, 10, 10))

    assert in_zones(detections, [], 100, 100) is detections


def test_only_a_centre_within_a_zone_counts():
    left = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    corner = [(0.9, 0.9), (1, 0.9), (1, 1), (0.9, 1)]
    detections = found((0, 0, 60, 50), (80, 0, 200, 50), (185, 92, 199, 99))

    kept = in_zones(detections, [left, corner], 200, 100)

    assert kept.boxes.tolist() == [[0, 0, 60, 50], [185, 92, 199, 99]]


def test_a_zone_of_the_whole_picture_keeps_what_touches_its_edge():
    whole = [(0, 0), (1, 0), (1, 1), (0, 1)]

    assert len(in_zones(found((0, 0, 0.5, 0.5), (99, 99, 100, 100)), [whole], 100, 100)) == 2


@given(
    st.lists(st.floats(-50, 700), min_size=4, max_size=4),
    st.integers(1, 640),
    st.integers(1, 480),
    st.floats(0, 2),
)
def test_boxes_and_regions_lie_within_the_frame(corners, width, height, margin):
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])

    box = whole_box((x1, y1, x2, y2), width, height)

    if box is None:
        assert x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height or x1 == x2 or y1 == y2
        return
    region = region_of(box, margin, width, height)
    assert region.x1 <= box.x1 < box.x2 <= region.x2 <= width
    assert region.y1 <= box.y1 < box.y2 <= region.y2 <= height


def test_the_margin_is_a_part_of_the_box():
    region = region_of(Box(x1=100, y1=100, x2=200, y2=140), 0.15, 640, 480)

    assert region == Box(x1=85, y1=94, x2=215, y2=146)


def test_a_box_of_no_area_has_no_pixels():
    assert whole_box((640.0, 10.0, 640.0, 20.0), 640, 480) is None
    assert whole_box((10.0, 10.0, 10.0, 20.0), 640, 480) is None


def test_a_cut_out_comes_back_nearly_unchanged():
    image = smooth(100, 300)
    part = cut(image, Box(x1=50, y1=20, x2=150, y2=90))

    unpacked = decoded(encode(part, 95))

    assert unpacked.shape == (70, 100, 3)
    assert np.abs(unpacked.astype(int) - image[20:90, 50:150]).mean() < 2


def test_a_large_cut_out_is_shrunk():
    packed = encode(np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8), 100)

    unpacked = decoded(packed)
    assert unpacked.shape == (360, MAX_SIDE, 3)
    assert len(packed) < 2_000_000


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode(np.zeros((1, 1, 2), np.uint8), 95)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (64, 64), (1080, 1920)])
def test_every_appearance_has_one_shape(size):
    assert appearance(np.full((*size, 3), 9, np.uint8)).tolist() == [[[9] * 3] * 16] * 16
