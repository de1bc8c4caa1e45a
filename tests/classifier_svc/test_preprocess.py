from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.preprocess import GREY, check, decode, fit
from secondlook.errors import ModelMismatch
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
GIVEN: dict[str, Any] = {
    "labels": LABELS,
    "output": "probabilities",
    "channels": "rgb",
    "value_range": "0..255",
    "resize": "stretch",
    "interpolation": "linear",
}


def spec(
    shape: tuple[int, ...] = (8, 8, 3),
    datatype: Any = "UINT8",
    outputs: Sequence[Tensor] = (Tensor("scores", "FP32", (5,)),),
    **given: Any,
) -> ModelSpec:
    return ModelSpec(
        name="efficientnet_b0",
        version="1",
        input=Tensor("images", datatype, shape),
        outputs=tuple(outputs),
        max_batch_size=16,
        parameters=ModelParameters.model_validate(GIVEN | given),
    )


def fitted(image: np.ndarray, model: ModelSpec) -> np.ndarray:
    types = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}
    out = np.full(model.input.shape, 77, types[model.input.datatype])
    fit(image, model, out)
    return out


BLUE = np.zeros((4, 4, 3), np.uint8)
BLUE[:, :, 0] = 200
PICTURE = np.random.default_rng(7).integers(0, 256, (13, 29, 3), dtype=np.uint8)


def test_channels_turn_to_rgb_when_the_model_wants_it() -> None:
    assert fitted(BLUE, spec())[0, 0].tolist() == [0, 0, 200]
    assert fitted(BLUE, spec(channels="bgr"))[0, 0].tolist() == [200, 0, 0]


def test_nchw_puts_the_channels_first() -> None:
    out = fitted(PICTURE, spec(shape=(3, 8, 6)))
    assert np.array_equal(out.transpose(1, 2, 0), fitted(PICTURE, spec(shape=(8, 6, 3))))


def test_values_are_scaled_then_centred_then_divided() -> None:
    model = spec(datatype="FP32", value_range="0..1", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    expected = [(0 - 0.1) / 1, (0 - 0.2) / 2, (200 / 255 - 0.3) / 4]
    assert fitted(BLUE, model)[3, 3].tolist() == pytest.approx(expected)


def test_mean_and_std_are_in_units_of_the_value_range() -> None:
    model = spec(datatype="FP32", channels="bgr", mean=(100, 1, 2), std=(50, 1, 2))
    assert fitted(BLUE, model)[0, 0].tolist() == pytest.approx([2.0, -1.0, -1.0])


@pytest.mark.parametrize("interpolation", ["linear", "cubic", "area"])
def test_a_stretch_is_the_resize_the_model_was_trained_with(interpolation: str) -> None:
    flag = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
    expected = cv2.resize(PICTURE, (8, 8), interpolation=flag[interpolation])
    model = spec(channels="bgr", interpolation=interpolation, datatype="FP32")
    assert np.array_equal(fitted(PICTURE, model), expected.astype(np.float32))


def test_a_letterbox_keeps_the_proportions_and_fills_with_grey() -> None:
    wide = np.full((10, 20, 3), 250, np.uint8)
    out = fitted(wide, spec(resize="letterbox"))
    assert (out[:2] == GREY).all()
    assert (out[6:] == GREY).all()
    assert (out[2:6] == 250).all()


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (8, 8)])
def test_a_crop_of_any_size_fills_the_whole_input(resize: str, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), GREY, np.uint8)
    assert (fitted(image, spec(resize=resize)) == GREY).all()


def test_the_crop_itself_is_left_alone() -> None:
    image = PICTURE.copy()
    image.setflags(write=False)
    fitted(image, spec(shape=(13, 29, 3), datatype="FP32", value_range="0..1", mean=(1, 1, 1)))
    assert np.array_equal(image, PICTURE)


def test_probabilities_are_taken_as_they_are() -> None:
    [scores] = decode(np.array([[0.1, 0.2, 0.3, 0.4, 0.0]], np.float32), spec())
    assert scores == pytest.approx(dict(zip(LABELS, (0.1, 0.2, 0.3, 0.4, 0.0), strict=True)))


def test_logits_become_probabilities() -> None:
    row = np.array([[1.0, 2.0, 3.0, 4.0, 1000.0], [0, 0, 0, 0, 0]], np.float32)
    first, second = decode(row, spec(output="logits"))
    assert first is not None
    assert second is not None
    assert first["empty"] == pytest.approx(1.0)
    assert list(second.values()) == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("output", ["probabilities", "logits"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_spoil_only_their_own_row(output: str, bad: float) -> None:
    rows = np.full((3, 5), 0.2, np.float32)
    rows[1, 4] = bad
    first, second, third = decode(rows, spec(output=output))
    assert second is None
    assert first == third
    assert first is not None


def test_probabilities_outside_their_range_are_no_scores() -> None:
    rows = np.array([[1.004, -0.004, 0, 0, 0], [7.3, -2.0, 0, 0, 0]], np.float32)
    first, second = decode(rows, spec())
    assert first is not None
    assert (first["small_gun"], first["big_gun"]) == (1.0, 0.0)
    assert second is None


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ModelMismatch, match="expected one row of 5 values"):
        decode(np.zeros((1, 4), np.float32), spec())


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param(spec(value_range="0..1"), "UINT8", id="bytes-from-0-to-1"),
        pytest.param(spec(mean=(1, 2, 3)), "UINT8", id="bytes-with-a-mean"),
        pytest.param(spec(std=(1, 2, 3)), "UINT8", id="bytes-with-a-deviation"),
    ],
)
def test_a_model_that_cannot_be_the_classifier_is_refused_with_a_sentence(
    model: ModelSpec, says: str
) -> None:
    with pytest.raises(ModelMismatch, match=says):
        check(model)


def test_the_models_we_ship_and_the_seeds_pass() -> None:
    check(spec(shape=(224, 224, 3)))
    check(
        spec(
            shape=(224, 224, 3),
            datatype="FP32",
            channels="bgr",
            interpolation="cubic",
            fallback_label="empty",
            fallback_below=0.7,
        )
    )


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from(["letterbox", "stretch"]),
    st.sampled_from(["UINT8", "FP32"]),
    st.sampled_from([(8, 6, 3), (3, 5, 9)]),
    st.integers(0, 255),
)
def test_what_was_in_the_input_before_never_shows(
    size: tuple[int, int], resize: str, datatype: str, shape: tuple[int, ...], before: int
) -> None:
    model = spec(shape=shape, datatype=datatype, resize=resize)
    chance = np.random.default_rng(size[0] * 71 + size[1])
    image = chance.integers(0, 256, (*size, 3), dtype=np.uint8)
    outs = [np.full(shape, value, model.input.dtype) for value in (before, 255 - before)]
    for out in outs:
        fit(image, model, out)
    assert np.array_equal(outs[0], outs[1])
    assert (outs[0] >= 0).all()
    assert (outs[0] <= 255).all()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.floats(width=32), min_size=5, max_size=5), min_size=0, max_size=6),
    st.sampled_from(["logits", "probabilities"]),
)
def test_scores_are_scores_whatever_the_model_answers(rows: list[list[float]], output: str) -> None:
    values = np.array(rows, np.float32).reshape(-1, 5)
    answers = decode(values, spec(output=output))
    assert len(answers) == len(rows)
    for row, scores in zip(values, answers, strict=True):
        if scores is None:
            continue
        assert tuple(scores) == LABELS
        assert all(0 <= score <= 1 for score in scores.values())
        assert np.isfinite(row).all()
        if output == "logits":
            assert sum(scores.values()) == pytest.approx(1)
            assert max(scores.values()) == scores[LABELS[int(row.argmax())]]
