"""Writes mean.onnx: the mean of each colour channel of 8x8 pictures. Needs `onnx`; run once."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

graph = helper.make_graph(
    [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["scores"], axes=[1, 2], keepdims=0),
    ],
    "mean",
    [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 8, 8, 3])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, Path(__file__).with_name("mean.onnx"))
