"""Small graphs with the shapes and operators of real exports."""

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
STRIDES = (8, 16, 32)
CELLS = sum((SIDE // stride) ** 2 for stride in STRIDES)
LABELS = ("gun", "phone", "umbrella")


def _model(nodes, inputs, outputs, constants, *, opset, metadata):
    graph = helper.make_graph(nodes, "export", inputs, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="pytorch"
    )
    model.ir_version = max(8, helper.find_min_ir_version_for(model.opset_import))
    helper.set_model_props(model, metadata or {})
    return model


def names_of(labels=LABELS):
    return {"names": str(dict(enumerate(labels))), "task": "detect", "stride": "32"}


def detector(
    kind="yolov8", labels=3, *, batch=1, opset=13, metadata=None, dtype=TensorProto.FLOAT,
    size=(SIDE, SIDE), more_inputs=(), more_outputs=(),
):  # fmt: skip
    """Export a detector: a convolution per stride, reshaped for one picture as exports do it."""
    random = np.random.default_rng(5)
    columns = labels + (5 if kind == "yolov5" else 4)
    anchors = 3 if kind == "yolov5" else 1
    node, array = helper.make_node, numpy_helper.from_array
    nodes, constants, parts = [], [], []
    for stride in STRIDES:
        weights = random.normal(0, 4 / stride, (anchors * columns, 3, stride, stride))
        cells = SIDE // stride
        constants.append(array(weights.astype(np.float32), f"w{stride}"))
        nodes.append(
            node("Conv", ["images", f"w{stride}"], [f"c{stride}"], strides=[stride, stride])
        )
        if kind == "yolov5":
            constants += [
                array(np.array([1, 3, columns, cells, cells]), f"split{stride}"),
                array(np.array([1, 3 * cells * cells, columns]), f"rows{stride}"),
            ]
            nodes += [
                node("Reshape", [f"c{stride}", f"split{stride}"], [f"s{stride}"]),
                node("Transpose", [f"s{stride}"], [f"t{stride}"], perm=[0, 1, 3, 4, 2]),
                node("Reshape", [f"t{stride}", f"rows{stride}"], [f"r{stride}"]),
            ]
        else:
            constants.append(array(np.array([1, columns, cells * cells]), f"rows{stride}"))
            nodes.append(node("Reshape", [f"c{stride}", f"rows{stride}"], [f"r{stride}"]))
        parts.append(f"r{stride}")
    scale = np.ones(columns, np.float32)
    scale[:4] = SIDE
    axis = 1 if kind == "yolov5" else 2
    constants.append(array(scale if kind == "yolov5" else scale[:, None], "scale"))
    nodes += [
        node("Concat", parts, ["all"], axis=axis),
        node("Sigmoid", ["all"], ["unit"]),
        node("Mul", ["unit", "scale"], ["output0"]),
    ]
    rows = [3 * CELLS, columns] if kind == "yolov5" else [columns, CELLS]
    value = helper.make_tensor_value_info
    inputs = [value("images", dtype, [batch or "n", 3, *size]), *more_inputs]
    outputs = [value("output0", TensorProto.FLOAT, [batch or "n", *rows]), *more_outputs]
    return _model(nodes, inputs, outputs, constants, opset=opset, metadata=metadata)


def classifier(labels=3, *, nchw=True, logits=True, batch="n", opset=13, metadata=None):
    """Export a classifier of the mean colour."""
    random = np.random.default_rng(6)
    weights = random.normal(0, 3, (3, labels)).astype(np.float32)
    node = helper.make_node
    axes = [2, 3] if nchw else [1, 2]
    nodes = [
        node("ReduceMean", ["input"], ["mean"], axes=axes, keepdims=0),
        node("MatMul", ["mean", "w"], ["dense" if not logits else "output"]),
    ]
    if not logits:
        nodes.append(node("Softmax", ["dense"], ["output"], axis=1))
    shape = [batch, 3, SIDE, SIDE] if nchw else [batch, SIDE, SIDE, 3]
    value = helper.make_tensor_value_info
    return _model(
        nodes,
        [value("input", TensorProto.FLOAT, shape)],
        [value("output", TensorProto.FLOAT, [batch, labels])],
        [numpy_helper.from_array(weights, "w")],
        opset=opset,
        metadata=metadata,
    )


def saved(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def pictures(folder: Path, count=4) -> Path:
    """Write coloured noise of clearly different brightness."""
    random = np.random.default_rng(7)
    folder.mkdir()
    for number in range(count):
        light = 40 + 200 * number // count
        picture = random.integers(0, light + 1, (90, 120, 3)) + random.integers(0, 15, 3)
        cv2.imwrite(str(folder / f"{number}.png"), picture.clip(0, 255).astype(np.uint8))
    return folder
