"""Frames of any size onto a canvas, and boxes back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector_svc.letterbox import GREY, InputForm, fit, place
from secondlook.errors import ModelMismatch
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

sides = st.integers(1, 5000)


def form(layout="nhwc", dtype=np.uint8, size=(64, 64), **changes):
    known = {
        "height": size[0],
        "width": size[1],
        "layout": layout,
        "dtype": dtype,
        "resize": "letterbox",
        "interpolation": "linear",
        "channels": "rgb",
        "gain": (1.0, 1.0, 1.0),
        "bias": (0.0, 0.0, 0.0),
    }
    return InputForm(**(known | changes))


def spec(datatype="UINT8", shape=(640, 640, 3), **parameters):
    given = {"channels": "rgb", "value_range": "0..255", "resize": "letterbox"} | parameters
    return ModelSpec(
        "yolov5",
        "1",
        Tensor("images", datatype, shape),
        (),
        8,
        ModelParameters(**{key: value for key, value in given.items() if value is not None}),
    )


def noise(height, width):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def garbage(of):
    """Return a model's input that still holds an older frame."""
    return np.full(of.shape, 77, of.dtype)


@given(
    sides,
    sides,
    st.integers(1, 1280),
    st.integers(1, 1280),
    st.sampled_from(["letterbox", "stretch"]),
)
def test_a_frame_of_any_proportions_lies_within_the_canvas(h, w, height, width, resize):
    placed = place(h, w, height, width, resize)

    assert placed.height >= 1
    assert placed.width >= 1
    assert 0 <= placed.top <= placed.top + placed.height <= height
    assert 0 <= placed.left <= placed.left + placed.width <= width
    assert placed.height == height or placed.width == width


@given(sides, sides, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_the_way_back_is_the_exact_inverse(h, w, parts):
    placed = place(h, w, 640, 640)
    x1, x2 = sorted(parts[:2])
    y1, y2 = sorted(parts[2:])
    boxes = np.array([[x1 * w, y1 * h, x2 * w, y2 * h]], np.float64)

    back = placed.to_frame(placed.to_canvas(boxes))

    # float32 on a canvas of 640 keeps 1/16384 pixel; mapping back multiplies it.
    tolerance = 1e-4 * max(1, w / placed.width, h / placed.height)
    assert np.allclose(back, boxes, rtol=0, atol=tolerance)


def test_a_box_that_reaches_into_the_padding_is_clipped_to_the_frame():
    placed = place(360, 640, 640, 640)

    back = placed.to_frame(np.array([[-20, 100, 660, 700], [10, 10, 20, 20]], np.float32))

    assert back.tolist() == [[0, 0, 640, 360], [10, 0, 20, 0]]


def test_of_an_odd_rest_the_smaller_half_is_at_the_top():
    placed = place(1080, 1920, 641, 640)

    assert (placed.top, placed.height) == (140, 360)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_frame_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match="cannot be put"):
        place(size[0], size[1], 640, 640)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3), (64, 64)])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
def test_extreme_frames_fill_the_whole_input(size, layout, dtype):
    wanted = form(layout, dtype)
    out = np.full(wanted.shape, 77, dtype)
    image = np.full((*size, 3), 200, np.uint8)

    placed = fit(image, wanted, out)

    picture = out if layout == "nhwc" else out.transpose(1, 2, 0)
    inside = np.zeros((64, 64), bool)
    inside[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width] = True
    assert (picture[inside] == 200).all()
    assert (picture[~inside] == GREY).all()


def test_channels_are_turned_around_only_for_a_model_trained_on_rgb():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 250
    rgb, bgr = form(size=(8, 8)), form(size=(8, 8), channels="bgr")
    as_rgb, as_bgr = garbage(rgb), garbage(bgr)

    fit(image, rgb, as_rgb)
    fit(image, bgr, as_bgr)

    assert as_rgb[0, 0].tolist() == [0, 0, 250]
    assert as_bgr[0, 0].tolist() == [250, 0, 0]


def test_mean_and_std_apply_to_the_channel_they_stand_for():
    image = np.full((8, 8, 3), 255, np.uint8)
    given = spec("FP32", (3, 8, 8), value_range="0..1", mean="0.1,0.2,0.3", std="0.5,0.25,1")
    wanted = InputForm.of(given)
    out = garbage(wanted)

    fit(image, wanted, out)

    assert np.allclose(out[:, 0, 0], [(1 - 0.1) / 0.5, (1 - 0.2) / 0.25, 1 - 0.3], atol=1e-6)


def test_every_layout_and_type_holds_the_same_picture():
    image = noise(90, 160)
    reference = form()
    expected = garbage(reference)
    fit(image, reference, expected)

    for layout in ("nhwc", "nchw"):
        for dtype in (np.uint8, np.float32):
            wanted = form(layout, dtype)
            out = garbage(wanted)
            fit(image, wanted, out)
            picture = out if layout == "nhwc" else out.transpose(1, 2, 0)
            assert np.array_equal(picture, expected)


def test_stretch_uses_the_whole_canvas_and_the_named_interpolation():
    image = noise(90, 160)
    wanted = form(resize="stretch", interpolation="cubic", channels="bgr")
    out = garbage(wanted)

    placed = fit(image, wanted, out)

    assert np.array_equal(out, cv2.resize(image, (64, 64), interpolation=cv2.INTER_CUBIC))
    assert placed.to_frame(np.array([[0, 0, 64, 64]])).tolist() == [[0, 0, 160, 90]]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(image):
    wanted = form()

    with pytest.raises(ValueError, match="frame"):
        fit(image, wanted, garbage(wanted))


def test_an_input_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="the model takes uint8"):
        fit(noise(4, 4), form(), np.zeros((64, 64, 3), np.float32))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (spec(channels=None, resize=None), "does not say its channels"),
        (spec(value_range="0..1"), "UINT8"),
        (spec(mean="1,2,3"), "UINT8"),
    ],
)
def test_parameters_that_contradict_the_input_stop_the_start(given, said):
    with pytest.raises(ModelMismatch, match=said):
        InputForm.of(given)


def test_the_seeds_own_detector_is_understood():
    wanted = InputForm.of(
        spec("FP32", (3, 640, 640), channels="bgr", resize="stretch", interpolation="cubic")
    )

    assert wanted == form(
        "nchw", np.float32, (640, 640), channels="bgr", resize="stretch", interpolation="cubic"
    )
