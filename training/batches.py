"""Lets a model that was exported for one picture at a time take several. No files."""

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from training.graphs import free_batch
from training.raw_models import only_input, sizes


def is_for_one(model: onnx.ModelProto) -> bool:
    """Return whether the export fixes its batch at one."""
    return sizes(only_input(model))[0] == 1


def for_any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which no Reshape insists on a first axis of one, nor input or output.

    That is what ties most exports to one picture: 0 in its shape means "as it comes" instead of
    1. Whether the copy really answers batches has to be tried.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {
        value.name: sizes(value)
        for value in (*shape_inference.infer_shapes(model).graph.value_info, *model.graph.input)
    }
    constants = _constants(copy)
    for node in copy.graph.node:
        if node.op_type != "Reshape":
            continue
        wanted = constants.get(node.input[1], [])
        # Grids and anchors keep their own first axis, which is no batch; 0 may mean an empty axis.
        if wanted[:1] != [1] or 0 in wanted or known.get(node.input[0], [None])[0] != 1:
            continue
        name = f"{node.input[1]}/any/{node.output[0]}"
        copy.graph.initializer.append(numpy_helper.from_array(np.array([0, *wanted[1:]]), name))
        node.input[1] = name
        del node.attribute[:]  # allowzero is the only one that there is
    free_batch(copy)
    return copy


def _constants(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the lists of integers that stand in a model as constants."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        values = [entry.t for entry in node.attribute if entry.name == "value"]
        if node.op_type == "Constant" and values:
            tensors[node.output[0]] = values[0]
    return {
        name: [int(size) for size in numpy_helper.to_array(tensor)]
        for name, tensor in tensors.items()
        if tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims) == 1 and tensor.dims[0]
    }
