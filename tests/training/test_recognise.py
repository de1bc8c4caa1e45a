import pytest

onnx = pytest.importorskip("onnx", reason="the extra `models` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `models` is not installed")

from onnx import TensorProto, helper  # noqa: E402 - after the check above

from tests.training.small_exports import (  # noqa: E402 - see above
    CELLS,
    LABELS,
    SIDE,
    classifier,
    detector,
    names_of,
)
from training.raw_models import NEWEST_OPSET, ExportError, with_opset  # noqa: E402 - see above
from training.recognise import recognise  # noqa: E402 - see above

value = helper.make_tensor_value_info


@pytest.mark.parametrize("opset", [13, 17, 18, 20])
@pytest.mark.parametrize("kind", ["yolov5", "yolov8"])
def test_a_detector_is_told_by_its_shape(kind, opset) -> None:
    export = recognise(detector(kind, opset=opset), labels=LABELS)

    assert (export.kind, export.form, export.output) == ("detector", kind, "output0")
    assert export.shape == ((3 * CELLS, 8) if kind == "yolov5" else (7, CELLS))
    assert export.picture == (SIDE, SIDE, True)


@pytest.mark.parametrize("nchw", [True, False])
def test_a_classifier_is_told_by_its_shape(nchw) -> None:
    export = recognise(classifier(nchw=nchw), labels=LABELS)

    assert (export.kind, export.form, export.input) == ("classifier", "scores", "input")
    assert export.picture == (SIDE, SIDE, nchw)


def test_the_labels_that_an_export_names_are_its_labels() -> None:
    assert recognise(detector(metadata=names_of())).labels == LABELS


def test_given_labels_go_before_those_of_the_export() -> None:
    export = recognise(detector(metadata=names_of()), labels=["a", "b", "c"])

    assert export.labels == ("a", "b", "c")


def test_a_detector_with_one_label_is_no_nms_export() -> None:
    assert recognise(detector("yolov5", labels=1), labels=["suspect"]).shape == (3 * CELLS, 6)


def with_node(op_type):
    model = detector(metadata=names_of())
    model.graph.node.append(helper.make_node(op_type, ["unit"], ["kept"]))
    return model


def answering(shape):
    """Return a model whose output has this shape."""
    model = detector(metadata=names_of())
    size = helper.make_node("ConstantOfShape", ["shape"], ["output"])
    model.graph.node.append(size)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(onnx.numpy_helper.np.array(shape), "shape")
    )
    del model.graph.output[:]
    model.graph.output.append(value("output", TensorProto.FLOAT, shape))
    return model


def newer():
    model = detector()
    model.opset_import[0].version = NEWEST_OPSET + 1
    return model


REFUSALS = {
    "two-inputs": (
        detector(more_inputs=[value("Sub/y:0", TensorProto.FLOAT, [3])]),
        {},
        r"2 inputs \(images, Sub/y:0\).*give the .keras file or the SavedModel",
    ),
    "half": (detector(dtype=TensorProto.FLOAT16), {}, "half precision: export in full"),
    "bytes": (detector(dtype=TensorProto.UINT8), {}, "is UINT8, and must be FLOAT"),
    "free-size": (detector(size=("h", "w")), {}, "leaves height and width open.*dynamic=False"),
    "nms-operator": (with_node("NonMaxSuppression"), {}, "export without NMS"),
    "nms-said": (detector(metadata={"args": "{'nms': True}"}), {}, "export without NMS"),
    "end-to-end": (detector(metadata={"end2end": "True"}), {}, "end2end=False"),
    "nms-shape": (answering([1, 300, 6]), {}, "export without NMS"),
    "segmentation": (detector(metadata={"task": "segment"}), {}, "task 'segment': a detection"),
    "four-axes": (answering([1, 3, 80, 80]), {}, r"output \[1, 3, 80, 80\], but a detector"),
    "no-room": (answering([1, 4, 84]), {}, "no room for labels"),
    "unnamed": (detector(), {}, "has 3 labels and the export does not name them: say --labels"),
    "too-few": (
        detector(),
        {"labels": ["a", "b"], "labels_from": "the labels file two.txt"},
        r"the labels file two.txt names 2 labels, but the model answers 3 \(output output0",
    ),
    "one-name-too-many": (
        detector(metadata=names_of(("a", "b", "c", "d"))),
        {},
        "own list of names names 4 labels, but the model answers 3",
    ),
    "broken-names": (detector(metadata={"names": "{0: "}), {}, "cannot be read.*give --labels"),
    "classifier-as-detector": (
        classifier(),
        {"kind": "detector", "labels": LABELS},
        "it is a classifier, not a detector.*say --kind classifier",
    ),
    "detector-as-classifier": (
        detector(),
        {"kind": "classifier", "labels": LABELS},
        "it is a detector, not a classifier.*say --kind detector",
    ),
}


@pytest.mark.parametrize(("model", "given", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_served_is_refused_with_what_to_do(model, given, sentence) -> None:
    with pytest.raises(ExportError, match=sentence):
        recognise(model, **given)


def test_a_turned_around_export_is_named_as_such() -> None:
    with pytest.raises(ExportError, match="YOLOv8 turned around"):
        recognise(answering([1, CELLS, 7]), labels=LABELS)


def test_an_opset_that_is_too_new_says_which_to_export() -> None:
    with pytest.raises(ExportError, match="uses opset 22: export it with opset 17"):
        with_opset(newer())


def test_an_opset_that_is_too_old_says_which_to_export() -> None:
    model = detector()
    model.opset_import[0].version = 9
    with pytest.raises(ExportError, match="uses opset 9: export it again with opset 17"):
        with_opset(model)


def test_a_fused_model_is_not_fused_again() -> None:
    model = detector(metadata=names_of())
    model.producer_name = "secondlook"
    with pytest.raises(ExportError, match="fused by this program already"):
        recognise(model)
