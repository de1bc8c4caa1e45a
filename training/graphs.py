"""Parts of ONNX graphs and how they are chained, with plain operators only. No files."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

TOP = 1000
"""Candidates that a fused detector answers at most."""
COUNT_FLOOR = 0.01
"""Candidates with at least this score are counted."""
OPSET = 17
BEFORE, INNER, AFTER = "before/", "model/", "after/"
"""Prefixes of the names in the three parts of a fused graph."""
_IMAGE_AXES = 4


class ExportError(Exception):
    """A model cannot be fused; the message says why and what to do."""


def only_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Return the model's one input of 4 axes.

    Raises:
        ExportError: There is another number of inputs or axes.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [v for v in model.graph.input if v.name not in constants]
    if len(inputs) != 1 or len(sizes(inputs[0])) != _IMAGE_AXES:
        names = ", ".join(value.name for value in inputs)
        raise ExportError(f"the model must have one input of 4 axes, but it has {names}")
    return inputs[0]


def sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of the axes, None where one is free."""
    return [
        d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim
    ]


def answered(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the model's first output for one grey image.

    Exports with a free batch often leave it open, so the model is asked.
    """
    value = model.graph.input[0]
    shape = [size or 1 for size in sizes(value)]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answer = session.run(None, {value.name: np.full(shape, 0.5, np.float32)})[0]
    return tuple(np.asarray(answer).shape)


Values = Sequence[tuple[str, int, Sequence[int | str | None]]]
"""Name, element type and sizes of tensors; a name instead of a size: it is free."""


def chain(
    nodes: list[onnx.NodeProto], inputs: Values, outputs: Values,
    constants: list[onnx.TensorProto],
) -> onnx.ModelProto:  # fmt: skip
    """Return a graph of these nodes; the outer ones are named `first` and `last`."""
    nodes[-1].name = nodes[-1].name or "last"
    nodes[0].name = "first"
    graph = helper.make_graph(
        nodes,
        "secondlook",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def pixels_to(height: int, width: int, *, scale: float | None, nchw: bool) -> onnx.ModelProto:
    """Return the graph from UINT8 pixels to what the raw model takes."""
    nodes = [helper.make_node("Cast", ["images"], ["as_float"], to=TensorProto.FLOAT)]
    constants = []
    if scale is not None:
        nodes.append(helper.make_node("Mul", ["as_float", "scale"], ["scaled"]))
        constants.append(numpy_helper.from_array(np.array(scale, np.float32), "scale"))
    last = nodes[-1].output[0]
    if nchw:
        nodes.append(helper.make_node("Transpose", [last], ["pixels"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["pixels"]))
    shape: list[int | str | None] = ["batch", height, width, 3]
    out: list[int | str | None] = ["batch", 3, height, width] if nchw else shape
    return chain(nodes, [("images", TensorProto.UINT8, shape)],
                  [("pixels", TensorProto.FLOAT, out)], constants)  # fmt: skip


def best_candidates(kind: str, rows: int, labels: int) -> onnx.ModelProto:
    """Return the graph from raw candidates to the best ones."""
    top = min(TOP, rows)
    node = helper.make_node
    first = node("Identity", ["raw"], ["rows"])
    if kind == "yolov8":
        first = node("Transpose", ["raw"], ["rows"], perm=[0, 2, 1])
    nodes = [first]
    if kind == "yolov5":
        nodes += [
            node("Split", ["rows", "parts"], ["centre", "size", "objectness", "labelled"], axis=2),
            node("Mul", ["objectness", "labelled"], ["every_score"]),
        ]
        parts = [2, 2, 1, labels]
    else:
        nodes.append(node("Split", ["rows", "parts"], ["centre", "size", "every_score"], axis=2))
        parts = [2, 2, labels]
    nodes += [
        node("ReduceMax", ["every_score"], ["score"], axes=[2], keepdims=0),
        node("ArgMax", ["every_score"], ["label"], axis=2, keepdims=1),
        node("GreaterOrEqual", ["score", "floor"], ["counted"]),
        node("Cast", ["counted"], ["ones"], to=TensorProto.INT32),
        node("ReduceSum", ["ones", "axis_1"], ["count"], keepdims=1),
        node("TopK", ["score", "top"], ["scores", "order"], axis=1, largest=1, sorted=1),
        node("Unsqueeze", ["order", "axis_2"], ["order_column"]),
        node("GatherElements", ["label", "order_column"], ["label_column"], axis=1),
        node("Squeeze", ["label_column", "axis_2"], ["label_row"]),
        node("Cast", ["label_row"], ["labels"], to=TensorProto.INT32),
        node("Mul", ["size", "half"], ["half_size"]),
        node("Sub", ["centre", "half_size"], ["upper_left"]),
        node("Add", ["centre", "half_size"], ["lower_right"]),
        node("Concat", ["upper_left", "lower_right"], ["every_box"], axis=2),
        node("Tile", ["order_column", "four_times"], ["order_boxes"]),
        node("GatherElements", ["every_box", "order_boxes"], ["boxes"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array(value, dtype), name)
        for name, value, dtype in (
            ("parts", parts, np.int64), ("top", [top], np.int64), ("axis_1", [1], np.int64),
            ("axis_2", [2], np.int64), ("four_times", [1, 1, 4], np.int64),
            ("half", 0.5, np.float32), ("floor", COUNT_FLOOR, np.float32),
        )
    ]  # fmt: skip
    shape: list[int | str | None] = ["batch", rows, 5 + labels]
    if kind == "yolov8":
        shape = ["batch", 4 + labels, rows]
    outputs: Values = [
        ("boxes", TensorProto.FLOAT, ["batch", top, 4]),
        ("scores", TensorProto.FLOAT, ["batch", top]),
        ("labels", TensorProto.INT32, ["batch", top]),
        ("count", TensorProto.INT32, ["batch", 1]),
    ]
    return chain(nodes, [("raw", TensorProto.FLOAT, shape)], outputs, constants)


def with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the opset that the added operators are written for."""
    opset = next((entry.version for entry in model.opset_import if entry.domain == ""), 0)
    if opset > OPSET:
        raise ExportError(f"the model uses opset {opset}: export it with opset {OPSET} or lower")
    converted = model
    if opset < OPSET:
        converted = version_converter.convert_version(model, OPSET)
    copy = onnx.ModelProto()
    copy.CopyFrom(converted)
    copy.ir_version = 8
    return copy


def free_batch(model: onnx.ModelProto) -> None:
    """Let the first axis of every input and output take any size, in place."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def joined(
    before: onnx.ModelProto, raw: onnx.ModelProto, after: onnx.ModelProto, outputs: list[str]
) -> onnx.ModelProto:
    """Chain three graphs; only the first one's inputs and the last one's outputs keep names."""
    free_batch(raw)
    del raw.graph.value_info[:]
    domains = {entry.domain: entry.version for entry in raw.opset_import}
    for part in (before, after):
        part.opset_import.extend(
            helper.make_opsetid(domain, version) for domain, version in domains.items() if domain
        )
    # Prefixes, since a raw model may use the names of the fused one's tensors.
    raw = compose.add_prefix(raw, INNER)
    into, out = raw.graph.input[0].name, raw.graph.output[0].name
    source = before.graph.output[0].name
    before = compose.add_prefix(before, BEFORE, rename_inputs=False)
    after = compose.add_prefix(after, AFTER, rename_outputs=False)
    first = compose.merge_models(before, raw, io_map=[(BEFORE + source, into)])
    whole = compose.merge_models(first, after, io_map=[(out, AFTER + "raw")], outputs=outputs)
    whole.ir_version = 8
    whole.producer_name = "secondlook"
    onnx.checker.check_model(whole, full_check=True)
    return whole
