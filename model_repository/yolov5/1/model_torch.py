"""Runs the `model.onnx` beside it in PyTorch on an NVIDIA GPU, inside Triton's Python backend.

For a machine with a GPU where neither TensorRT nor ONNX Runtime's CUDA provider can be had: the
pip-installed server has the Python backend alone. The graph is recorded once for each batch size
(a CUDA graph), and a call is one launch, the copies included. Like `model.py` it knows nothing of
any one model, and every model folder carries the same copy. Optional `parameters`:

- `precision`: `fp16` (default) or `fp32`. With `fp16` all before the last convolutions is computed
  in half precision; what follows them, boxes and scores, in single precision.
- `device`: `cuda` (default), or `cpu`, which needs no GPU and is for trying.

Tensors go in and out by DLPack: with numpy 2 in the server's Python, arrays would come out empty.
What bounds one instance is its process, which gathers the pictures, and not the GPU: several
instances (`instance_group`) use it better than one.
"""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import triton_python_backend_utils as pb_utils

try:
    import torch
    from torch import Tensor
    from torch.utils.dlpack import from_dlpack
    from torch_graph import Graph, Values
except ImportError as error:
    # Triton's own exception is not there yet while this file is imported.
    raise ImportError(
        f"this platform needs {error.name}, which the server's Python does not have: install "
        "torch and onnx there, or choose another platform"
    ) from error

Request: TypeAlias = "pb_utils.InferenceRequest"  # not there yet while this file is imported
Response: TypeAlias = "pb_utils.InferenceResponse"
WARM_UP = 3
"""Calls before a graph is recorded, in which libraries choose and load their kernels."""
DTYPES = {"TYPE_UINT8": torch.uint8, "TYPE_FP16": torch.half, "TYPE_FP32": torch.float}


class Direct:
    """A graph that is computed call by call, on the processor."""

    def __init__(self, graph: Graph, given: Values) -> None:
        self._graph = graph
        self.given = given

    def __call__(self) -> Values:
        """Compute what lies in `given`."""
        return self._graph(self.given)


class Recorded:
    """A graph as one launch: the copy to the GPU, its kernels, and the copy back.

    Args:
        graph: On the GPU.
        given: The inputs, in page-locked memory, to be filled before each call.
    """

    def __init__(self, graph: Graph, given: Values) -> None:
        self.given = given
        self._whole = torch.cuda.CUDAGraph()
        self._stream = torch.cuda.Stream()
        # One that sleeps: a process that spins while it waits takes a core from the others.
        self._done = torch.cuda.Event(blocking=True)
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                graph(self._on_gpu())
            self._answers = {
                name: torch.empty(answer.shape, dtype=answer.dtype, pin_memory=True)
                for name, answer in graph(self._on_gpu()).items()
            }
        self._stream.synchronize()
        with torch.cuda.graph(self._whole, stream=self._stream):
            for name, answer in graph(self._on_gpu()).items():
                self._answers[name].copy_(answer, non_blocking=True)

    def _on_gpu(self) -> Values:
        return {name: tensor.cuda(non_blocking=True) for name, tensor in self.given.items()}

    def __call__(self) -> Values:
        """Compute what lies in `given`; the answers are good until the next call."""
        with torch.cuda.stream(self._stream):
            self._whole.replay()
            self._done.record()
        self._done.synchronize()
        return self._answers


class TritonPythonModel:
    """What the Python backend makes one of per instance; the class's name is its demand."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Read the graph and record it, or say in a sentence why that cannot be."""
        config = json.loads(args["model_config"])
        parameters = {k: v["string_value"] for k, v in config.get("parameters", {}).items()}
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        most = int(config["max_batch_size"])
        if not most:
            raise pb_utils.TritonModelException(
                "max_batch_size must be at least 1 on this platform"
            )
        device = torch.device(parameters.get("device", "cuda"))
        if device.type == "cuda" and not torch.cuda.is_available():
            raise pb_utils.TritonModelException("PyTorch finds no NVIDIA GPU: use another platform")
        torch.set_num_threads(1)  # the instances are the threads
        half = parameters.get("precision", "fp16") == "fp16" and device.type == "cuda"
        try:
            graph = Graph(path, device, half=half)
        except Exception as error:
            raise pb_utils.TritonModelException(f"cannot read {path}: {error}") from error
        self._outputs = _same_names("output", config["output"], graph.outputs)
        self._inputs = _same_names("input", config["input"], graph.inputs)
        pinned = device.type == "cuda"
        room = {tensor["name"]: _room(tensor, most, pinned=pinned) for tensor in config["input"]}
        kind: Callable[..., Any] = Recorded if pinned else Direct
        self._sizes = {
            size: kind(graph, {name: tensor[:size] for name, tensor in room.items()})
            for size in _sizes(most)
        }

    def execute(self, requests: Sequence[Request]) -> list[Response]:
        """Answer the requests in order, as one batch."""
        try:
            tensors = [self._tensors(request) for request in requests]
            ends = [0]
            for given in tensors:
                ends.append(ends[-1] + len(given[0]))
            run = next(run for size, run in self._sizes.items() if size >= ends[-1])
            for (begin, end), given in zip(pairwise(ends), tensors, strict=True):
                for name, tensor in zip(self._inputs, given, strict=True):
                    run.given[name][begin:end] = tensor
            answers = run()
        except Exception as error:  # noqa: BLE001 - whatever it is, these requests failed
            failure = pb_utils.TritonError(str(error))
            return [pb_utils.InferenceResponse(error=failure) for _ in requests]
        return [
            _response({n: answers[n][begin:end] for n in request.requested_output_names()})
            for request, (begin, end) in zip(requests, pairwise(ends), strict=True)
        ]

    def _tensors(self, request: Request) -> list[Tensor]:
        """Return a request's inputs where they lie, in memory shared with the server."""
        given = (pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs)
        return [from_dlpack(tensor.to_dlpack()) for tensor in given]


def _room(tensor: dict[str, Any], most: int, *, pinned: bool) -> Tensor:
    """Return memory for a whole batch of an input."""
    shape = [most, *map(int, tensor["dims"])]
    return torch.zeros(shape, dtype=DTYPES[tensor["data_type"]], pin_memory=pinned)


def _sizes(most: int) -> list[int]:
    """Return the batch sizes to record; another is computed as the next larger one."""
    sizes = [1]
    while sizes[-1] < most:
        sizes.append(min(2 * sizes[-1], most))
    return sizes


def _same_names(kind: str, configured: list[dict[str, Any]], found: list[str]) -> list[str]:
    """Return the names, if the configuration's are the file's."""
    names = [tensor["name"] for tensor in configured]
    if set(names) - set(found) or (kind == "input" and set(found) - set(names)):
        raise pb_utils.TritonModelException(
            f"config.pbtxt names the {kind}s {', '.join(names)}, model.onnx has {', '.join(found)}"
        )
    return names


def _response(answers: Values) -> Response:
    tensors = [pb_utils.Tensor.from_dlpack(name, tensor) for name, tensor in answers.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)
