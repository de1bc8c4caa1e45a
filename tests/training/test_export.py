from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra `training` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - after the check above

from training.export import (  # noqa: E402 - see above
    as_seed,
    fuse_classifier,
    fuse_detector,
    unfuse,
)
from training.graphs import COUNT_FLOOR, TOP  # noqa: E402 - see above
from training.raw_models import NEWEST_OPSET, ExportError  # noqa: E402 - see above

REPOSITORY = Path(__file__).parents[2] / "model_repository"
SIDE = 32


def run(model, inputs):
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def raw_detector(kind, *, rows=1500, labels=3, opset=13, name="images"):
    """A graph whose candidates follow from the mean brightness of the picture."""
    random = np.random.default_rng(3)
    table = random.uniform(0, 1, (1, rows, 5 + labels)).astype(np.float32)
    table[..., :4] *= 600
    if kind == "yolov8":
        table = np.ascontiguousarray(np.delete(table, 4, axis=2).transpose(0, 2, 1))
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [name], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "axes"], ["factor"]),
            helper.make_node("Mul", ["factor", "table"], ["output0"]),
        ],
        "raw",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1, 2]), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def raw_classifier(output="scores"):
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["colour"], axes=[1, 2], keepdims=0),
            helper.make_node("Softmax", ["colour"], [output], axis=1),
        ],
        "raw",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def pictures(count=2, side=SIDE):
    # Pictures of clearly different brightness, so that a mixed-up batch shows.
    random = np.random.default_rng(0)
    light = np.linspace(60, 250, count).reshape(-1, 1, 1, 1)
    return (random.uniform(0, 1, (count, side, side, 3)) * light).astype(np.uint8)


def reference(rows):
    """What a fused detector must answer for (candidates, 5 + labels) of one picture."""
    scores = rows[:, 4:5] * rows[:, 5:]
    best, labels = scores.max(axis=1), scores.argmax(axis=1)
    order = np.argsort(-best, kind="stable")[:TOP]
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    boxes = np.hstack([centre - half, centre + half])
    return boxes[order], best[order], labels[order], (best >= COUNT_FLOOR).sum()


def as_yolov5(output, kind):
    if kind == "yolov5":
        return output
    rows = output.transpose(0, 2, 1)
    return np.concatenate([rows[..., :4], np.ones_like(rows[..., :1]), rows[..., 4:]], axis=2)


def check_against_raw(fused, raw, kind, images):
    answers = run(fused, {"images": images})
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 255
    (output,) = run(raw, {raw.graph.input[0].name: pixels}).values()
    for number, rows in enumerate(as_yolov5(output, kind)):
        boxes, scores, labels, count = reference(rows)
        np.testing.assert_allclose(answers["scores"][number], scores, atol=1e-5)
        # Candidates whose scores are equal but for rounding may change places.
        apart = np.abs(np.diff(scores, prepend=2, append=-1)) > 1e-6
        clear = apart[:-1] & apart[1:]
        assert clear.sum() >= 10
        np.testing.assert_allclose(answers["boxes"][number][clear], boxes[clear], atol=0.02)
        np.testing.assert_array_equal(answers["labels"][number][clear], labels[clear])
        # A candidate within rounding of the floor may fall on either side.
        assert abs(int(answers["count"][number, 0]) - count) <= 1
    return answers


@pytest.mark.parametrize("kind", ["yolov5", "yolov8"])
@pytest.mark.parametrize("labels", [1, 3])
def test_a_fused_detector_answers_the_best_candidates_of_the_raw_one(kind, labels) -> None:
    raw = raw_detector(kind, labels=labels)
    answers = check_against_raw(fuse_detector(raw, kind), raw, kind, pictures())
    assert answers["boxes"].shape == (2, TOP, 4)
    assert {name: str(value.dtype) for name, value in answers.items()} == {
        "boxes": "float32", "scores": "float32", "labels": "int32", "count": "int32",
    }  # fmt: skip
    assert answers["count"].shape == (2, 1)


def test_a_model_with_few_candidates_answers_them_all() -> None:
    fused = fuse_detector(raw_detector("yolov5", rows=20), "yolov5")
    assert run(fused, {"images": pictures()})["scores"].shape == (2, 20)


def test_the_count_reaches_beyond_the_top() -> None:
    answers = run(fuse_detector(raw_detector("yolov5"), "yolov5"), {"images": pictures()})
    assert (answers["count"] > TOP).any()


@pytest.mark.parametrize("output", ["scores", "dense"])
def test_a_fused_classifier_answers_the_same_scores(output) -> None:
    raw, images = raw_classifier(output), pictures()
    expected = run(raw, {"images": images.astype(np.float32)})[output]
    answers = run(fuse_classifier(raw), {"images": images})
    assert list(answers) == ["scores"]
    np.testing.assert_allclose(answers["scores"], expected, atol=1e-6)


def test_fusing_leaves_the_raw_model_as_it_was() -> None:
    raw = raw_detector("yolov5")
    before = raw.SerializeToString()
    fuse_detector(raw, "yolov5")
    assert raw.SerializeToString() == before


def test_the_raw_model_comes_out_again() -> None:
    raw = raw_detector("yolov5")
    pixels = np.random.default_rng(1).uniform(0, 1, (2, 3, SIDE, SIDE)).astype(np.float32)
    again = run(unfuse(fuse_detector(raw, "yolov5")), {"images": pixels})
    np.testing.assert_array_equal(again["output"], run(raw, {"images": pixels})["output0"])


def test_a_model_that_was_never_fused_cannot_be_taken_apart() -> None:
    with pytest.raises(ExportError, match="nothing to undo"):
        unfuse(raw_detector("yolov5"))


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        pytest.param(raw_detector("yolov5", labels=1), "yolov8", "shape", id="other-kind"),
        pytest.param(raw_classifier(), "yolov5", "3 axes, not 2", id="classifier"),
        pytest.param(
            raw_detector("yolov5", opset=NEWEST_OPSET + 1),
            "yolov5",
            "opset 22: export",
            id="too-new",
        ),
    ],
)
def test_what_cannot_be_fused_is_refused_with_a_reason(model, kind, message) -> None:
    with pytest.raises(ExportError, match=message):
        fuse_detector(model, kind)


def test_the_seeds_classifier_takes_bgr() -> None:
    images = pictures().astype(np.float32)
    seed = as_seed(unfuse(fuse_classifier(raw_classifier())), "classifier")
    expected = run(raw_classifier(), {"images": images})["scores"]
    np.testing.assert_allclose(
        run(seed, {"input_1": images[..., ::-1]})["pred"], expected, atol=1e-6
    )


def test_the_seeds_detector_answers_raw_candidates() -> None:
    pixels = np.random.default_rng(1).uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    seed = as_seed(raw_detector("yolov5"), "detector")
    expected = run(raw_detector("yolov5"), {"images": pixels})["output0"]
    np.testing.assert_array_equal(run(seed, {"images": pixels})["output"], expected)


def test_the_shipped_detector_agrees_with_the_raw_one_inside_it() -> None:
    fused = onnx.load(REPOSITORY / "yolov5/1/model.onnx")
    raw = unfuse(fused)
    check_against_raw(fused, raw, "yolov5", pictures(2, 640))


def test_the_shipped_classifier_gives_probabilities_for_five_labels() -> None:
    fused = onnx.load(REPOSITORY / "efficientnet_b0/1/model.onnx")
    scores = run(fused, {"images": pictures(3, 224)})["scores"]
    assert scores.shape == (3, 5)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_the_shipped_models_become_the_seeds() -> None:
    detector = as_seed(unfuse(onnx.load(REPOSITORY / "yolov5/1/model.onnx")), "detector")
    output = run(detector, {"images": np.zeros((1, 3, 640, 640), np.float32)})["output"]
    assert output.shape == (1, 25200, 6)
    classifier = as_seed(
        unfuse(onnx.load(REPOSITORY / "efficientnet_b0/1/model.onnx")), "classifier"
    )
    assert run(classifier, {"input_1": np.zeros((1, 224, 224, 3), np.float32)})["pred"].shape == (
        1,
        5,
    )
