"""Parts of ONNX graphs and how they are chained, with plain operators only. No files."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from secondlook.model_spec import ModelParameters
from training.raw_models import OPSET, ExportError, Picture, first_line, ir_version, only_input

TOP = 1000
"""Candidates that a fused detector answers at most."""
COUNT_FLOOR = 0.01
"""Candidates with at least this score are counted."""
BEFORE, INNER, AFTER = "before/", "model/", "after/"
"""Prefixes of the names in the three parts of a fused graph."""


Values = Sequence[tuple[str, int, Sequence[int | str | None]]]
"""Name, element type and sizes of tensors; a name instead of a size: it is free."""


def chain(
    nodes: list[onnx.NodeProto], inputs: Values, outputs: Values,
    constants: list[onnx.TensorProto], opset: int = OPSET,
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
    made = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=made, ir_version=ir_version(opset))


def pixels_to(picture: Picture, given: ModelParameters, opset: int = OPSET) -> onnx.ModelProto:
    """Return the graph from UINT8 pixels [n, height, width, 3] to what the raw model takes."""
    steps: list[tuple[str, object]] = []
    if given.value_range == "0..1":
        steps.append(("Mul", 1 / 255))
    if given.mean is not None:
        steps.append(("Sub", given.mean))
    if given.std is not None:
        steps.append(("Div", given.std))
    nodes = [helper.make_node("Cast", ["images"], ["as_float"], to=TensorProto.FLOAT)]
    constants = []
    for step, value in steps:
        constants.append(numpy_helper.from_array(np.array(value, np.float32), f"by_{step}"))
        nodes.append(helper.make_node(step, [nodes[-1].output[0], f"by_{step}"], [f"after_{step}"]))
    last = nodes[-1].output[0]
    if picture.nchw:
        nodes.append(helper.make_node("Transpose", [last], ["pixels"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["pixels"]))
    height, width, nchw = picture
    shape: list[int | str | None] = ["batch", height, width, 3]
    out: list[int | str | None] = ["batch", 3, height, width] if nchw else shape
    return chain(nodes, [("images", TensorProto.UINT8, shape)],
                  [("pixels", TensorProto.FLOAT, out)], constants, opset)  # fmt: skip


def as_scores(labels: int, *, logits: bool, opset: int = OPSET) -> onnx.ModelProto:
    """Return the graph from a classifier's output [n, labels] to probabilities."""
    node = helper.make_node("Identity", ["raw"], ["scores"])
    if logits:
        node = helper.make_node("Softmax", ["raw"], ["scores"], axis=1)
    shape: list[int | str | None] = ["batch", labels]
    return chain([node], [("raw", TensorProto.FLOAT, shape)],
                  [("scores", TensorProto.FLOAT, shape)], [], opset)  # fmt: skip


def best_candidates(kind: str, rows: int, labels: int, opset: int = OPSET) -> onnx.ModelProto:
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
        node("ArgMax", ["every_score"], ["label"], axis=2, keepdims=1),
        # ReduceMax would be shorter, but is written differently from opset 18 on.
        node("GatherElements", ["every_score", "label"], ["score_column"], axis=2),
        node("Squeeze", ["score_column", "axis_2"], ["score"]),
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
    return chain(nodes, [("raw", TensorProto.FLOAT, shape)], outputs, constants, opset)


def free_batch(model: onnx.ModelProto) -> None:
    """Let the first axis of every input and output take any size, in place."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def joined(
    before: onnx.ModelProto, raw: onnx.ModelProto, after: onnx.ModelProto, outputs: list[str],
    output: str = "",
) -> onnx.ModelProto:  # fmt: skip
    """Chain three graphs; only the first one's inputs and the last one's outputs keep names.

    Args:
        before: Its output is the raw model's input.
        raw: Is changed.
        after: Its input is an output of the raw model.
        outputs: Those of the whole.
        output: Which of the raw model's outputs is read; default: the first.
    """
    chosen = output or raw.graph.output[0].name
    for value in [value for value in raw.graph.output if value.name != chosen]:
        raw.graph.output.remove(value)
    for value in [value for value in raw.graph.input if value.name != only_input(raw).name]:
        raw.graph.input.remove(value)
    # An export may leave its output's shape open; the part after it knows it.
    raw.graph.output[0].type.CopyFrom(after.graph.input[0].type)
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
    try:
        onnx.checker.check_model(whole, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the fused graph is not valid: {first_line(error)}") from error
    return whole
