"""Graph surgery: raw exports to the fused form that is served, and back, with plain ONNX operators.

Fused: `images` UINT8 [batch, height, width, 3] RGB in; a detector answers `boxes`, `scores`,
`labels` and `count`, a classifier answers `scores`. It knows tensors, not how they are trained.

`python -m training.export fuse --kind yolov5 raw.onnx model.onnx`
"""

from pathlib import Path
from typing import Literal

import click
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, compose, helper, numpy_helper, utils

Kind = Literal["yolov5", "yolov8", "classifier"]

TOP = 1000
"""Candidates that a fused detector answers at most."""
COUNT_FLOOR = 0.01
"""Candidates with at least this score are counted."""
_OPSET = 17
_BEFORE, _INNER, _AFTER = "before/", "model/", "after/"


class ExportError(Exception):
    """A model cannot be fused; the message says why and what to do."""


def fuse_detector(model: onnx.ModelProto, kind: Literal["yolov5", "yolov8"]) -> onnx.ModelProto:
    """Return a detector that takes UINT8 pixels and answers its best candidates.

    Args:
        model: `yolov5`: [batch, 3, height, width] RGB 0..1 to [batch, candidates, 5 + labels];
            `yolov8`: the same to [batch, 4 + labels, candidates].
        kind: The form of the output.

    Returns:
        `boxes` FP32 [batch, k, 4] (x1, y1, x2, y2 in canvas pixels, best first), `scores` FP32
        [batch, k], `labels` INT32 [batch, k], `count` INT32 [batch, 1]: how many candidates
        score at least `COUNT_FLOOR`. k is `TOP`, or fewer where the model has fewer candidates.

    Raises:
        ExportError: The model has other tensors than that.
    """
    batch, channels, height, width = _shape(_only_input(model))
    if channels != 3 or not height or not width:
        raise ExportError(
            f"{model.graph.input[0].name} must be [batch, 3, height, width] with a fixed size, "
            f"not {[batch, channels, height, width]}: export for one input size"
        )
    shape = _answered(model)
    if len(shape) != 3:
        raise ExportError(f"the output must have 3 axes, not {len(shape)}: export without NMS")
    rows, columns = shape[1:] if kind == "yolov5" else shape[:0:-1]
    labels = columns - (5 if kind == "yolov5" else 4)
    if labels < 1 or rows < labels:
        raise ExportError(f"an output of shape {shape} is not that of a {kind} model")
    before = _pixels_to(height, width, scale=1 / 255, nchw=True)
    after = _best_candidates(kind, rows, labels)
    return _joined(before, _with_opset(model), after, ["boxes", "scores", "labels", "count"])


def fuse_classifier(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a classifier that takes UINT8 pixels and answers `scores`.

    Args:
        model: [batch, height, width, 3] RGB 0..255 to probabilities [batch, labels].

    Raises:
        ExportError: The model has other tensors than that.
    """
    _, height, width, channels = _shape(_only_input(model))
    if channels != 3 or not height or not width:
        raise ExportError("the input must be [batch, height, width, 3]: export channels last")
    labels = _answered(model)[-1]
    before = _pixels_to(height, width, scale=None, nchw=False)
    nodes = [helper.make_node("Identity", ["raw"], ["scores"])]
    after = _graph(nodes, [("raw", TensorProto.FLOAT, ["batch", labels])],
                   [("scores", TensorProto.FLOAT, ["batch", labels])], [])  # fmt: skip
    return _joined(before, _with_opset(model), after, ["scores"])


def unfuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the raw model inside a fused one, with the tensors `images` and `output`.

    Raises:
        ExportError: The model was not fused here.
    """
    entry = next((n.output[0] for n in model.graph.node if n.name == _BEFORE + "last"), None)
    inner = next((n.input[0] for n in model.graph.node if n.name == _AFTER + "first"), None)
    if entry is None or inner is None:
        raise ExportError("this model was not fused by this program: there is nothing to undo")
    known = {
        value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    cut = utils.Extractor(model).extract_model([entry], [inner])
    for values, name in ((cut.graph.input, entry), (cut.graph.output, inner)):
        if not values[0].type.tensor_type.HasField("shape") and name in known:
            values[0].CopyFrom(known[name])
    _free_batch(cut)
    for node in cut.graph.node:
        node.input[:] = ["images" if name == entry else name for name in node.input]
        node.output[:] = ["output" if name == inner else name for name in node.output]
    cut.graph.input[0].name, cut.graph.output[0].name = "images", "output"
    onnx.checker.check_model(cut)
    return cut


def as_seed(model: onnx.ModelProto, kind: Literal["detector", "classifier"]) -> onnx.ModelProto:
    """Return a raw model with the tensors of the seed's: a detector's or a classifier's.

    A detector: `images` FP32 [batch, 3, 640, 640] to `output` [batch, 25200, 5 + labels]. A
    classifier: `input_1` FP32 [batch, 224, 224, 3], **BGR** 0..255, to `pred` [batch, labels].
    """
    into = model.graph.input[0]
    names = ("images", "output") if kind == "detector" else ("input_1", "pred")
    nodes = [helper.make_node("Identity", [names[0]], ["seed_pixels"])]
    constants = []
    if kind == "classifier":
        constants = [numpy_helper.from_array(np.array([2, 1, 0], np.int64), "rgb_of_bgr")]
        nodes = [helper.make_node("Gather", [names[0], "rgb_of_bgr"], ["seed_pixels"], axis=3)]
    shape = ["batch", *_shape(into)[1:]]
    seed_in = [(names[0], TensorProto.FLOAT, shape)]
    before = _graph(nodes, seed_in, [("seed_pixels", TensorProto.FLOAT, shape)], constants)
    answer = ["batch", *_answered(model)[1:]]
    last = [helper.make_node("Identity", ["raw"], [names[1]])]
    after = _graph(last, [("raw", TensorProto.FLOAT, answer)],
                   [(names[1], TensorProto.FLOAT, answer)], [])  # fmt: skip
    return _joined(before, _with_opset(model), after, [names[1]])


def _only_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(_shape(inputs[0])) != 4:
        names = ", ".join(value.name for value in inputs)
        raise ExportError(f"the model must have one input of 4 axes, but it has {names}")
    return inputs[0]


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of the axes, None where one is free."""
    return [
        d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim
    ]


def _answered(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the model's first output for one grey image.

    Exports with a free batch often leave it open, so the model is asked.
    """
    value = model.graph.input[0]
    shape = [size or 1 for size in _shape(value)]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answer = session.run(None, {value.name: np.full(shape, 0.5, np.float32)})[0]
    return tuple(np.asarray(answer).shape)


_Values = list[tuple[str, int, list[int | str | None]]]


def _graph(
    nodes: list[onnx.NodeProto], inputs: _Values, outputs: _Values,
    constants: list[onnx.TensorProto],
) -> onnx.ModelProto:  # fmt: skip
    nodes[-1].name = nodes[-1].name or "last"
    nodes[0].name = "first"
    graph = helper.make_graph(
        nodes,
        "secondlook",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


def _pixels_to(height: int, width: int, *, scale: float | None, nchw: bool) -> onnx.ModelProto:
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
    return _graph(nodes, [("images", TensorProto.UINT8, shape)],
                  [("pixels", TensorProto.FLOAT, out)], constants)  # fmt: skip


def _best_candidates(kind: str, rows: int, labels: int) -> onnx.ModelProto:
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
    outputs: _Values = [
        ("boxes", TensorProto.FLOAT, ["batch", top, 4]),
        ("scores", TensorProto.FLOAT, ["batch", top]),
        ("labels", TensorProto.INT32, ["batch", top]),
        ("count", TensorProto.INT32, ["batch", 1]),
    ]
    return _graph(nodes, [("raw", TensorProto.FLOAT, shape)], outputs, constants)


def _with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the opset that the added operators are written for."""
    opset = next((entry.version for entry in model.opset_import if entry.domain == ""), 0)
    if opset > _OPSET:
        raise ExportError(f"the model uses opset {opset}: export it with opset {_OPSET} or lower")
    converted = model
    if opset < _OPSET:
        converted = onnx.version_converter.convert_version(model, _OPSET)
    copy = onnx.ModelProto()
    copy.CopyFrom(converted)
    copy.ir_version = 8
    return copy


def _free_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _joined(
    before: onnx.ModelProto, raw: onnx.ModelProto, after: onnx.ModelProto, outputs: list[str]
) -> onnx.ModelProto:
    """Chain three graphs; only the first one's inputs and the last one's outputs keep names."""
    _free_batch(raw)
    del raw.graph.value_info[:]
    domains = {entry.domain: entry.version for entry in raw.opset_import}
    for part in (before, after):
        part.opset_import.extend(
            helper.make_opsetid(domain, version) for domain, version in domains.items() if domain
        )
    # Prefixes, since a raw model may use the names of the fused one's tensors.
    raw = compose.add_prefix(raw, _INNER)
    into, out = raw.graph.input[0].name, raw.graph.output[0].name
    source = before.graph.output[0].name
    before = compose.add_prefix(before, _BEFORE, rename_inputs=False)
    after = compose.add_prefix(after, _AFTER, rename_outputs=False)
    first = compose.merge_models(before, raw, io_map=[(_BEFORE + source, into)])
    whole = compose.merge_models(first, after, io_map=[(out, _AFTER + "raw")], outputs=outputs)
    whole.ir_version = 8
    whole.producer_name = "secondlook"
    onnx.checker.check_model(whole, full_check=True)
    return whole


@click.group()
def main() -> None:
    """Fuse an exported model for serving, or take a fused one apart."""


_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@main.command()
@click.option("--kind", type=click.Choice(["yolov5", "yolov8", "classifier"]), required=True)
@click.argument("source", type=_EXISTING)
@click.argument("target", type=_PATH)
def fuse(kind: Kind, source: Path, target: Path) -> None:
    """Write SOURCE with UINT8 input and, for a detector, its best candidates as output."""
    model = onnx.load(source)
    fused = fuse_classifier(model) if kind == "classifier" else fuse_detector(model, kind)
    onnx.save(fused, target)


@main.command("unfuse")
@click.argument("source", type=_EXISTING)
@click.argument("target", type=_PATH)
def unfuse_command(source: Path, target: Path) -> None:
    """Write the raw model inside a fused SOURCE."""
    onnx.save(unfuse(onnx.load(source)), target)


@main.command("as-seed")
@click.option("--kind", type=click.Choice(["detector", "classifier"]), required=True)
@click.argument("source", type=_EXISTING)
@click.argument("target", type=_PATH)
def as_seed_command(kind: Literal["detector", "classifier"], source: Path, target: Path) -> None:
    """Write the raw model SOURCE with the tensors of the seed repository's models."""
    onnx.save(as_seed(onnx.load(source), kind), target)


if __name__ == "__main__":
    try:
        main()
    except ExportError as error:
        raise SystemExit(str(error)) from None
