"""Reads an ONNX file and computes it with PyTorch calls, which a CUDA graph can record.

`model_torch.py` uses it. It knows the operations of YOLO exports and of EfficientNet, as
`secondlook model add` writes them; for anything else it says which operation is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

Values: TypeAlias = dict[str, Tensor]


@dataclass(slots=True, eq=False)
class Node:
    """One operation of a graph: `run(node, *inputs)` gives its output, or several as a tuple."""

    op: str
    inputs: list[str]
    outputs: list[str]
    given: dict[str, Any]
    """Its attributes."""
    half: bool = False
    """It comes before the last convolutions, and these are computed in half precision."""

    def __call__(self, values: Values) -> None:
        """Compute the outputs."""
        answer = OPERATIONS[self.op](self, *(values[n] if n else None for n in self.inputs))
        several = answer if isinstance(answer, tuple) else (answer,)
        values.update(zip(self.outputs, several, strict=True))


class Graph:
    """An ONNX graph as a list of PyTorch calls.

    Shapes, axes and single numbers stay in the processor's memory, so that no call waits for the
    GPU: one that waits cannot be recorded.

    Args:
        path: The ONNX file.
        device: Where it runs.
        half: Whether what comes before the last convolutions is computed in half precision.

    Raises:
        NotImplementedError: It has an operation, or a form of one, that this file does not know.
    """

    def __init__(self, path: Path, device: torch.device, *, half: bool) -> None:
        graph = onnx.load(path).graph
        self.inputs = [tensor.name for tensor in graph.input]
        self.outputs = [tensor.name for tensor in graph.output]
        self._constants = {tensor.name: _tensor(tensor, device) for tensor in graph.initializer}
        nodes = [_node(node) for node in graph.node]
        for node in nodes:
            if node.op == "Constant":
                self._constants[node.outputs[0]] = _tensor(node.given["value"], device)
            elif node.op not in OPERATIONS:
                raise NotImplementedError(f"its operation {node.op} is not known here")
            elif node.op == "Resize":  # its factors are read by the processor
                self._constants.update({n: self._constants[n].cpu() for n in node.inputs[1:] if n})
        self._nodes = _with_silu([node for node in nodes if node.op != "Constant"], self.outputs)
        if half:
            self._halve()

    def _halve(self) -> None:
        """Mark the nodes that a convolution depends on, and convert their constants."""
        needed: set[str] = set()
        for node in reversed(self._nodes):
            if not needed.isdisjoint(node.outputs):
                node.half = True
            if node.half or node.op == "Conv":
                needed.update(node.inputs)
                for name in node.inputs:
                    constant = self._constants.get(name)
                    if constant is not None and constant.is_floating_point() and constant.ndim:
                        self._constants[name] = constant.half()
                if node.op == "Conv" and node.given.get("group", 1) == 1:
                    self._constants[node.inputs[1]] = _widened(self._constants[node.inputs[1]])

    def __call__(self, given: Values) -> Values:
        """Return the outputs for these inputs."""
        values = self._constants | given
        with torch.inference_mode():
            for node in self._nodes:
                node(values)
        return {name: values[name] for name in self.outputs}


def _node(node: onnx.NodeProto) -> Node:
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return Node(node.op_type, list(node.input), list(node.output), given)


def _tensor(constant: onnx.TensorProto, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(numpy_helper.to_array(constant).copy())
    if tensor.numel() == 1 and tensor.ndim <= 1 and tensor.is_floating_point():
        return tensor.reshape(())  # a number: it leaves device and precision of what it meets alone
    if not tensor.is_floating_point():
        return tensor
    layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format  # noqa: PLR2004 - weights of a convolution
    return tensor.to(device, memory_format=layout)


def _widened(weight: Tensor) -> Tensor:
    """Return weights for eight channels where there are fewer: matrix units take no less."""
    missing = -weight.shape[1] % 8 if max(weight.shape[2:]) > 1 else 0
    wide = functional.pad(weight, [0] * 2 * (weight.ndim - 2) + [0, missing])
    return wide.contiguous(memory_format=torch.channels_last)


def _with_silu(nodes: list[Node], wanted: Sequence[str]) -> list[Node]:
    """Return the nodes with each `x * sigmoid(x)` as one operation: half the bytes to move."""
    uses: dict[str, int] = dict.fromkeys(wanted, 1)
    for node in nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    sigmoids = {n.outputs[0]: n for n in nodes if n.op == "Sigmoid" and uses[n.outputs[0]] == 1}
    merged = []
    for node in nodes:
        gate = next((sigmoids[name] for name in node.inputs if name in sigmoids), None)
        if node.op == "Mul" and gate is not None and gate.inputs[0] in node.inputs:
            merged.append(gate)
            node.op, node.inputs = "Silu", gate.inputs
    return [node for node in nodes if node not in merged]


def _convolve(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    sides = weight.ndim - 2
    pads = node.given.get("pads", [0] * 2 * sides)
    strides = node.given.get("strides", [1] * sides)
    groups = node.given.get("group", 1)
    if node.given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NotImplementedError("its convolutions pad by themselves")
    x = x.to(weight.dtype)
    if max(*weight.shape[2:], *strides, groups) == 1 and not any(pads):
        # One pixel at a time is a matrix product, which adds the bias without a pass of its own.
        pixels = functional.linear(x.movedim(1, -1), weight.flatten(1), bias)
        return _precise(node, pixels.movedim(-1, 1))
    if missing := weight.shape[1] * groups - x.shape[1]:
        x = functional.pad(x, [0] * 2 * sides + [0, missing])
    before, after = pads[:sides], pads[sides:]
    if before != after:
        x, before = functional.pad(x, _outward(before, after)), [0] * sides
    dilations = node.given.get("dilations", [1] * sides)
    done = torch.convolution(
        x, weight, bias, strides, before, dilations, False, [0] * sides, groups
    )
    return _precise(node, done)


def _precise(node: Node, done: Tensor) -> Tensor:
    """Leave half precision behind the last convolutions."""
    return done if node.half or done.dtype != torch.half else done.float()


def _outward(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Return paddings as PyTorch wants them: the last dimension first."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return [int(number) for pair in pairs for number in pair]


def _pad(node: Node, x: Tensor, pads: Tensor, value: Tensor | None = None, *_: object) -> Tensor:
    if node.given.get("mode", b"constant") != b"constant":
        raise NotImplementedError("its Pad is not a constant one")
    numbers = pads.tolist()
    filling = 0.0 if value is None else float(value)
    return functional.pad(x, _outward(numbers[: x.ndim], numbers[x.ndim :]), value=filling)


def _pool(node: Node, x: Tensor) -> Tensor:
    pads = node.given.get("pads", [0] * 4)
    if pads[:2] != pads[2:] or node.given.get("ceil_mode"):
        raise NotImplementedError("its MaxPool pads unevenly")
    size = node.given["kernel_shape"]
    return functional.max_pool2d(x, size, node.given.get("strides", [1, 1]), pads[:2])


def _resize(node: Node, x: Tensor, *rest: Tensor | None) -> Tensor:
    scales = [float(s) for s in rest[1]] if len(rest) > 1 and rest[1] is not None else []
    whole = len(scales) == x.ndim and all(s.is_integer() for s in scales)
    if node.given.get("mode", b"nearest") != b"nearest" or not whole:
        raise NotImplementedError("its Resize is not by whole numbers to the nearest pixel")
    return functional.interpolate(x, scale_factor=scales[2:], mode="nearest")


def _cast(node: Node, x: Tensor) -> Tensor:
    kind = DTYPES[node.given["to"]]
    return x.to(torch.half if node.half and kind is torch.float else kind)


def _axes(node: Node, axes: Tensor | None) -> list[int]:
    """Return the axes, which are an input or, in older graphs, an attribute."""
    return [int(a) for a in (node.given.get("axes", []) if axes is None else axes)]


def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze(_axes(node, axes))


def _unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    wanted = _axes(node, axes)
    for axis in sorted(a % (x.ndim + len(wanted)) for a in wanted):
        x = x.unsqueeze(axis)
    return x


def _sum(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.sum(_axes(node, axes), keepdim=bool(node.given.get("keepdims", 1)), dtype=x.dtype)


def _reshape(_: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.reshape([n or x.shape[i] for i, n in enumerate(shape.tolist())])


def _split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = node.given.get("axis", 0)
    if sizes is not None:
        return tuple(x.split(sizes.tolist(), axis))
    return tuple(x.chunk(len(node.outputs), axis))


def _gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.given.get("axis", 0)
    if index.ndim == 0:
        return x.select(axis, int(index))
    if index.ndim > 1:
        raise NotImplementedError("its Gather takes a table of places")
    return torch.stack([x.select(axis, i) for i in index.tolist()], axis)


def _slice(_: Node, x: Tensor, starts: Tensor, ends: Tensor, *rest: Tensor) -> Tensor:
    axes = rest[0].tolist() if rest else range(len(starts))
    steps = rest[1].tolist() if len(rest) > 1 else [1] * len(starts)
    where = [slice(None)] * x.ndim
    for axis, begin, end, step in zip(axes, starts.tolist(), ends.tolist(), steps, strict=True):
        where[axis] = slice(begin, end, step)
    return x[tuple(where)]


def _best(node: Node, x: Tensor) -> Tensor:
    return x.argmax(node.given.get("axis", 0), keepdim=bool(node.given.get("keepdims", 1)))


def _top(node: Node, x: Tensor, k: Tensor) -> tuple[Tensor, ...]:
    largest = bool(node.given.get("largest", 1))
    return tuple(x.topk(int(k), node.given.get("axis", -1), largest=largest, sorted=True))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: a + b,
    "ArgMax": _best,
    "Cast": _cast,
    "Concat": lambda node, *parts: torch.cat(parts, node.given["axis"]),
    "Conv": _convolve,
    "Div": lambda _, a, b: a / b if a.is_floating_point() else a // b,
    "Flatten": lambda node, x: x.flatten(node.given.get("axis", 1)),
    "Gather": _gather,
    "GatherElements": lambda node, x, index: x.gather(node.given.get("axis", 0), index),
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "GreaterOrEqual": lambda _, a, b: a >= b,
    "Identity": lambda _, x: x,
    "MatMul": lambda _, a, b: a @ b,
    "MaxPool": _pool,
    "Mul": lambda _, a, b: a * b,
    "Pad": _pad,
    "Pow": lambda _, a, b: a**b,
    "ReduceSum": _sum,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda _, x: torch.tensor(x.shape),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Silu": lambda _, x: functional.silu(x),
    "Slice": _slice,
    "Softmax": lambda node, x: x.softmax(node.given.get("axis", -1)),
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Tile": lambda _, x, times: x.repeat(times.tolist()),
    "TopK": _top,
    "Transpose": lambda node, x: x.permute(node.given["perm"]),
    "Unsqueeze": _unsqueeze,
}
DTYPES = {
    onnx.TensorProto.FLOAT: torch.float,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
}
