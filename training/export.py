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
from onnx import TensorProto, helper, numpy_helper, utils

from secondlook.model_spec import ModelParameters
from training.graphs import (
    AFTER,
    BEFORE,
    as_scores,
    best_candidates,
    chain,
    free_batch,
    joined,
    pixels_to,
)
from training.raw_models import (
    ExportError,
    answered,
    answers,
    opset_of,
    picture_of,
    sizes,
    with_opset,
)

Kind = Literal["yolov5", "yolov8", "classifier"]
UNIT_RANGE = ModelParameters(value_range="0..1")
"""What YOLO models want of their pixels."""
BYTE_RANGE = ModelParameters(value_range="0..255")
_DETECTOR_AXES = 3


def fuse_detector(
    model: onnx.ModelProto,
    kind: Literal["yolov5", "yolov8"],
    given: ModelParameters = UNIT_RANGE,
    output: str = "",
) -> onnx.ModelProto:
    """Return a detector that takes UINT8 pixels and answers its best candidates.

    Args:
        model: `yolov5`: pictures to [batch, candidates, 5 + labels]; `yolov8`: the same to
            [batch, 4 + labels, candidates].
        kind: The form of the output.
        given: What the raw model wants of its pixels: `value_range`, `mean`, `std`.
        output: Which of the model's outputs that is; default: the first.

    Returns:
        `boxes` FP32 [batch, k, 4] (x1, y1, x2, y2 in canvas pixels, best first), `scores` FP32
        [batch, k], `labels` INT32 [batch, k], `count` INT32 [batch, 1]: how many candidates
        score at least `COUNT_FLOOR`. k is `TOP`, or fewer where the model has fewer candidates.

    Raises:
        ExportError: The model has other tensors than that.
    """
    raw = with_opset(model)
    picture = picture_of(model)
    shapes = answers(model)
    shape = shapes[output] if output else next(iter(shapes.values()))
    if len(shape) != _DETECTOR_AXES:
        raise ExportError(f"the output must have 3 axes, not {len(shape)}: export without NMS")
    rows, columns = shape[1:] if kind == "yolov5" else shape[:0:-1]
    labels = columns - (5 if kind == "yolov5" else 4)
    if labels < 1 or rows < labels:
        raise ExportError(f"an output of shape {shape} is not that of a {kind} model")
    opset = opset_of(raw)
    before = pixels_to(picture, given, opset)
    after = best_candidates(kind, rows, labels, opset)
    return joined(before, raw, after, ["boxes", "scores", "labels", "count"], output)


def fuse_classifier(
    model: onnx.ModelProto, given: ModelParameters = BYTE_RANGE, output: str = ""
) -> onnx.ModelProto:
    """Return a classifier that takes UINT8 pixels and answers probabilities, `scores`.

    Args:
        model: Pictures to [batch, labels].
        given: What the raw model wants of its pixels, and whether `output` is `logits`.
        output: Which of the model's outputs it is; default: the first.

    Raises:
        ExportError: The model has other tensors than that.
    """
    raw = with_opset(model)
    opset = opset_of(raw)
    shapes = answers(model)
    labels = (shapes[output] if output else next(iter(shapes.values())))[-1]
    before = pixels_to(picture_of(model), given, opset)
    after = as_scores(labels, logits=given.output == "logits", opset=opset)
    return joined(before, raw, after, ["scores"], output)


def unfuse(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the raw model inside a fused one, with the tensors `images` and `output`.

    Raises:
        ExportError: The model was not fused here.
    """
    entry = next((n.output[0] for n in model.graph.node if n.name == BEFORE + "last"), None)
    inner = next((n.input[0] for n in model.graph.node if n.name == AFTER + "first"), None)
    if entry is None or inner is None:
        raise ExportError("this model was not fused by this program: there is nothing to undo")
    known = {
        value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    cut = utils.Extractor(model).extract_model([entry], [inner])
    for values, name in ((cut.graph.input, entry), (cut.graph.output, inner)):
        if not values[0].type.tensor_type.HasField("shape") and name in known:
            values[0].CopyFrom(known[name])
    free_batch(cut)
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
    shape: list[int | str | None] = ["batch", *sizes(into)[1:]]
    seed_in = [(names[0], TensorProto.FLOAT, shape)]
    raw = with_opset(model)
    opset = opset_of(raw)
    before = chain(nodes, seed_in, [("seed_pixels", TensorProto.FLOAT, shape)], constants, opset)
    answer: list[int | str | None] = ["batch", *answered(model)[1:]]
    last = [helper.make_node("Identity", ["raw"], [names[1]])]
    after = chain(last, [("raw", TensorProto.FLOAT, answer)],
                   [(names[1], TensorProto.FLOAT, answer)], [], opset)  # fmt: skip
    return joined(before, raw, after, [names[1]])


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
