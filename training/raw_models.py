"""What a raw export is: its one picture, its answers, its opset. Plain refusals; no files."""

from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, version_converter

OPSET = 17
"""Older models are converted to it."""
OLDEST_OPSET, NEWEST_OPSET = 11, 21
"""From the first whose conversion is dependable to what ONNX Runtime 1.20 and TensorRT 10 read.
From 13 on, the operators added here mean the same, so such a model keeps its opset."""
_KEPT_FROM = 13
_IMAGE_AXES, _COLOURS = 4, 3


class ExportError(Exception):
    """A model cannot be fused; the message says why and what to do."""


def only_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Return the model's one input of 4 axes.

    Raises:
        ExportError: There is another number of inputs or axes.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [v for v in model.graph.input if v.name not in constants]
    if len(inputs) > 1:
        names = ", ".join(value.name for value in inputs)
        raise ExportError(
            f"the model has {len(inputs)} inputs ({names}) and must have one, the picture; Keras' "
            "own ONNX export makes inputs of its constants: give the .keras file or the SavedModel"
        )
    if not inputs or len(sizes(inputs[0])) != _IMAGE_AXES:
        found = [f"{value.name} {sizes(value)}" for value in inputs] or ["none"]
        raise ExportError(f"the model must have one input of 4 axes, but it has {found[0]}")
    return inputs[0]


class Picture(NamedTuple):
    """The axes of a model's input."""

    height: int
    width: int
    nchw: bool


def picture_of(model: onnx.ModelProto) -> Picture:
    """Return the size and layout of the picture that a raw model takes.

    Raises:
        ExportError: Its input is no float picture of a fixed size.
    """
    value = only_input(model)
    kind = value.type.tensor_type.elem_type
    if kind == TensorProto.FLOAT16:
        raise ExportError(
            f"{value.name} is half precision: export in full precision (half=False, no FP16); "
            "TensorRT halves it on the device"
        )
    if kind != TensorProto.FLOAT:
        name = TensorProto.DataType.Name(kind)
        raise ExportError(f"{value.name} is {name}, and must be FLOAT: export without quantization")
    _, *axes = sizes(value)
    nchw = axes[0] == _COLOURS
    height, width = axes[1:] if nchw else axes[:2]
    if not nchw and axes[2] != _COLOURS:
        raise ExportError(
            f"{value.name} has the axes {[None, *axes]}: neither [batch, 3, height, width] nor "
            "[batch, height, width, 3]; a model of colour pictures is needed"
        )
    if not height or not width:
        raise ExportError(
            f"{value.name} leaves height and width open: export with a fixed size "
            "(dynamic=False, imgsz=640); a free batch axis is welcome"
        )
    return Picture(height, width, nchw)


def sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of the axes, None where one is free."""
    return [
        d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim
    ]


def answers(model: onnx.ModelProto, batch: int = 1) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's outputs by name, for grey images.

    Exports with a free batch often leave them open, so the model is asked.

    Raises:
        ExportError: It cannot be run.
    """
    value = only_input(model)
    shape = [batch, *(size or 1 for size in sizes(value)[1:])]
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"]
        )
        values = session.run(None, {value.name: np.full(shape, 0.5, np.float32)})
    except Exception as error:  # its exceptions share no class but this one
        raise ExportError(f"onnxruntime cannot run the model: {first_line(error)}") from error
    names = [output.name for output in session.get_outputs()]
    return {n: tuple(np.shape(value)) for n, value in zip(names, values, strict=True)}


def answered(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the model's first output for one grey image."""
    return next(iter(answers(model).values()))


def first_line(error: Exception) -> str:
    """Return what an error of a library says, without what it adds below."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def ir_version(opset: int) -> int:
    """Return the version of the file format for an opset."""
    least: int = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    return max(8, least)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that a model uses."""
    return next((int(e.version) for e in model.opset_import if e.domain in ("", "ai.onnx")), 0)


def with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model with an opset that the added operators are written for.

    Raises:
        ExportError: Its opset is too new for the servers, or too old.
    """
    opset = opset_of(model)
    if opset > NEWEST_OPSET:
        raise ExportError(
            f"the model uses opset {opset}: export it with opset {OPSET} "
            f"({NEWEST_OPSET} is the newest that Triton's backends read)"
        )
    if opset < OLDEST_OPSET:
        raise ExportError(
            f"the model uses opset {opset}: export it again with opset {OPSET} "
            f"({OLDEST_OPSET} is the oldest that can be converted)"
        )
    converted = model
    if opset < _KEPT_FROM:
        try:
            converted = version_converter.convert_version(model, OPSET)
        except Exception as error:  # it raises RuntimeError and classes of its own
            raise ExportError(
                f"opset {opset} cannot be converted ({first_line(error)}): "
                f"export the model again with opset {OPSET}"
            ) from error
    copy = onnx.ModelProto()
    copy.CopyFrom(converted)
    copy.ir_version = ir_version(opset_of(copy))
    return copy
