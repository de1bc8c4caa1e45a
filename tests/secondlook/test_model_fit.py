"""What a model must be to be used, and what an answer must be to be believed."""

from typing import Any

import numpy as np
import pytest

from secondlook.errors import ModelMismatch, TritonUnavailable
from secondlook.model_fit import known_images, ready_version, spec_of, wrong_with
from secondlook.model_spec import ModelParameters, ModelSpec

PARAMETERS = {
    "labels": "a,b",
    "output": "yolov5",
    "channels": "rgb",
    "value_range": "0..1",
    "resize": "letterbox",
}


def tensor(name: str, *dims: int, datatype: str = "FP32") -> dict[str, Any]:
    # Triton's JSON has 64-bit numbers as text.
    return {"name": name, "data_type": f"TYPE_{datatype}", "dims": [str(d) for d in dims]}


def config(*outputs: dict[str, Any], batch: int = 1, **parameters: Any) -> dict[str, Any]:
    values = {**PARAMETERS, **parameters}
    return {
        "name": "yolo",
        "max_batch_size": batch,
        "input": [tensor("images", 3, 64, 96)],
        "output": list(outputs) or [tensor("output", 100, 7)],
        "parameters": {k: {"string_value": v} for k, v in values.items() if v},
    }


def spec(*outputs: dict[str, Any], **parameters: Any) -> ModelSpec:
    return spec_of(config(*outputs, **parameters), version="1")


def test_a_model_is_read_from_its_configuration() -> None:
    found = spec_of(config(), version="3")

    assert (found.name, found.version, found.max_batch_size) == ("yolo", "3", 1)
    assert (found.input.name, found.input.datatype) == ("images", "FP32")
    assert found.input.shape == (3, 64, 96)
    assert found.input_size == (64, 96)
    assert [t.shape for t in found.outputs] == [(100, 7)]
    assert found.parameters.labels == ("a", "b")


def test_parameters_of_backends_are_not_ours() -> None:
    assert spec(threads="2", execution_mode="0").parameters.output == "yolov5"


def test_overrides_go_before_the_models_own_parameters() -> None:
    overrides = ModelParameters(labels=("x", "y"), value_range="0..255")
    found = spec_of(config(), version="1", overrides=overrides)

    assert found.parameters.labels == ("x", "y")
    assert found.parameters.value_range == "0..255"
    assert found.parameters.channels == "rgb"


def test_a_model_without_parameters_needs_nothing_but_overrides() -> None:
    bare = config()
    del bare["parameters"]
    overrides = ModelParameters.model_validate(PARAMETERS)

    assert spec_of(bare, version="1", overrides=overrides).parameters == overrides
    with pytest.raises(ModelMismatch, match="nothing says its channels, value_range, resize"):
        spec_of(bare, version="1", overrides=ModelParameters(labels=("a", "b"), output="yolov5"))


@pytest.mark.parametrize(
    ("kind", "fitting"),
    [
        pytest.param("yolov5", (100, 7), id="rows-of-box-objectness-and-two-labels"),
        pytest.param("yolov8", (6, 100), id="columns-of-box-and-two-labels"),
        pytest.param("probabilities", (2,), id="a-probability-per-label"),
        pytest.param("logits", (2,), id="a-logit-per-label"),
    ],
)
def test_only_the_output_that_fits_is_read(kind: str, fitting: tuple[int, ...]) -> None:
    others = [tensor("deep", 3, 8, 8, 7), tensor("more", 9), tensor("ids", 2, datatype="INT64")]
    found = spec(*others, tensor("mine", *fitting), output=kind)

    assert [t.name for t in found.outputs] == ["mine"]


def test_two_outputs_that_fit_are_one_too_many() -> None:
    with pytest.raises(ModelMismatch, match="needs one floating-point output of the shape"):
        spec(tensor("one", 100, 7), tensor("two", 50, 7))


def test_an_output_of_a_free_size_may_fit() -> None:
    assert spec(tensor("output", -1, -1)).outputs[0].shape == (-1, -1)


def test_the_wrong_number_of_labels_is_told_with_the_shapes() -> None:
    with pytest.raises(
        ModelMismatch,
        match=r"^model 'yolo': yolov5 with 3 labels needs .* \[any, 8\]; it has output FP32 "
        r"\[100, 7\] \(check `output` and `labels`\)$",
    ):
        spec(labels="a,b,c")


def test_a_fused_model_has_its_four_outputs_by_name() -> None:
    outputs = [
        tensor("count", 1, datatype="INT32"),
        tensor("boxes", 50, 4),
        tensor("scores", 50),
        tensor("labels", 50, datatype="INT32"),
    ]
    found = spec(*outputs, tensor("extra", 1), output="fused")
    assert [t.name for t in found.outputs] == ["boxes", "scores", "labels", "count"]

    with pytest.raises(ModelMismatch, match="it lacks count"):
        spec(*outputs[1:], output="fused")


def test_a_model_that_declares_its_own_batch_of_one_can_be_used() -> None:
    given = config(tensor("output", 1, 100, 7), batch=0)
    given["input"] = [tensor("images", 1, 3, 64, 96)]
    found = spec_of(given, version="1")

    assert found.batch_in_shape
    assert found.input.shape == (3, 64, 96)
    assert found.outputs[0].shape == (100, 7)


def test_an_optional_input_is_left_out() -> None:
    given = config()
    given["input"].append({**tensor("threshold", 1), "optional": True})

    assert spec_of(given, version="1").input.name == "images"


def test_a_layout_that_the_shape_leaves_open_is_taken_from_the_parameters() -> None:
    given = config(layout="nhwc")
    given["input"] = [tensor("images", 3, 64, 3)]
    assert spec_of(given, version="1").input_size == (3, 64)

    with pytest.raises(ModelMismatch, match=r"read as NHWC.*the parameter `layout`"):
        spec(layout="nhwc")


@pytest.mark.parametrize("wanted", ["boxes", "labels"])
def test_a_model_must_answer_what_it_is_asked(wanted: Any) -> None:
    given = {"boxes": config(tensor("p", 2), output="logits"), "labels": config()}[wanted]

    with pytest.raises(ModelMismatch, match="but here a model with"):
        spec_of(given, version="1", answers=wanted)


def test_known_images_are_pictures_of_the_models_type_and_range() -> None:
    images = known_images(spec(), 2)

    assert images.shape == (2, 3, 64, 96)
    assert images.dtype == np.float32
    assert images.min() == 0
    assert 0.9 < images.max() <= 1
    assert known_images(spec(value_range="0..255"), 1).max() == 255


def answers(value: float = 0.5, shape: tuple[int, ...] = (1, 100, 7)) -> dict[str, Any]:
    return {"output": np.full(shape, value, np.float32)}


def test_a_good_answer_has_nothing_wrong_with_it() -> None:
    assert wrong_with(spec(), answers(), 1) is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (answers(shape=(1, 0, 7)), "came back empty"),
        (answers(shape=(1, 100, 8)), "[1, 100, 8], but its configuration says [1, 100, 7]"),
        (answers(shape=(2, 100, 7)), "[2, 100, 7]"),
        (answers(float("nan")), "no numbers"),
        (answers(float("inf")), "no numbers"),
        (answers(3.0), "its scores reach from 3 to 3 instead of 0 to 1"),
        (answers(-1.0), "its scores reach from -1 to -1"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(given: dict[str, Any], sentence: str) -> None:
    assert sentence in (wrong_with(spec(), given, 1) or "")


def test_boxes_may_be_of_any_size_but_scores_may_not() -> None:
    rows = answers()
    rows["output"][..., :4] = 640
    assert wrong_with(spec(), rows, 1) is None

    columns = {"output": np.full((1, 6, 100), 0.5, np.float32)}
    columns["output"][:, :4] = 640
    eight = spec(tensor("output", 6, 100), output="yolov8")
    assert wrong_with(eight, columns, 1) is None
    columns["output"][:, 4] = 2
    assert "check `output`" in (wrong_with(eight, columns, 1) or "")


def test_logits_may_be_any_numbers_but_probabilities_may_not() -> None:
    given = {"p": np.array([[-7.0, 9.0]], np.float32)}

    assert wrong_with(spec(tensor("p", 2), output="logits"), given, 1) is None
    wrong = wrong_with(spec(tensor("p", 2), output="probabilities"), given, 1)
    assert wrong is not None
    assert "(logits?)" in wrong


def entry(name: str, state: str = "READY", reason: str = "", version: str = "1") -> dict[str, str]:
    return {"name": name, "state": state, "reason": reason, "version": version}


def test_a_model_that_is_ready_may_be_asked_for_with_or_without_its_version() -> None:
    index = [entry("a", "UNAVAILABLE", "unloaded", "1"), entry("a", version="2"), entry("b")]

    assert ready_version(index, "a", "", where="Triton") == "2"
    assert ready_version(index, "a", "2", where="Triton") == "2"
    with pytest.raises(ModelMismatch, match=r"^Triton has no model 'a' version 3; it has a, b$"):
        ready_version(index, "a", "3", where="Triton")


def test_versions_are_numbers() -> None:
    index = [entry("a", version=version) for version in ("9", "10", "2")]

    assert ready_version(index, "a", "", where="Triton") == "10"


@pytest.mark.parametrize("state", ["LOADING", "UNLOADING", ""])
def test_a_model_that_is_loading_is_worth_waiting_for(state: str) -> None:
    with pytest.raises(TritonUnavailable, match="has not loaded the model 'a'"):
        ready_version([entry("a", state)], "a", "", where="Triton")


def test_a_model_that_was_unloaded_may_come_back() -> None:
    with pytest.raises(TritonUnavailable):
        ready_version([entry("a", "UNAVAILABLE", "unloaded")], "a", "", where="Triton")


def test_a_model_that_could_not_be_loaded_says_why_in_one_line() -> None:
    index = [entry("a", "UNAVAILABLE", "Internal: no such file\n\nAt:\n  model.py(3)")]

    with pytest.raises(ModelMismatch, match=r"could not load the model 'a': no such file$"):
        ready_version(index, "a", "", where="Triton")
