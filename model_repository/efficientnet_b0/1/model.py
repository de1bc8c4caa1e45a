"""Runs the model beside it inside Triton's Python backend: ONNX, or else a SavedModel.

`model.onnx` runs in onnxruntime; where there is none, `model.savedmodel` runs in TensorFlow, by
its signature `serving_default`. It knows nothing of any one model: names, types and shapes come
from the model's configuration and the file. Every model folder carries the same copy, because a
model folder has to be whole. Two optional `parameters` of the configuration are meant for it:

- `threads`: CPU threads of one instance (1). `auto`: the machine's cores, shared between the
  instances, four at most. Several instances of one thread may answer more requests a second than
  one instance of several, but each later; `secondlook model tune` measures it.
- `file`: the name of the model's file or folder, if it is another.
"""

import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils

Request: TypeAlias = "pb_utils.InferenceRequest"  # not there yet while this file is imported
Response: TypeAlias = "pb_utils.InferenceResponse"
FILES = ("model.onnx", "model.savedmodel")
"""What is looked for, in this order."""
MOST_THREADS = 4
"""With `auto`: beyond it a small network gains little, and the others' work needs cores, too."""


class Onnx:
    """An ONNX file in onnxruntime."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime as ort  # noqa: PLC0415 - only the runtime that is needed is there

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the CPU from the other instances.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self._session.get_inputs()]
        self.outputs = [tensor.name for tensor in self._session.get_outputs()]

    def run(self, wanted: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the wanted outputs, in that order."""
        return list(self._session.run(wanted, given))


class SavedModel:
    """A SavedModel in TensorFlow."""

    def __init__(self, path: Path, threads: int) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf  # noqa: PLC0415 - takes seconds, and is rarely there

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._tensor = tf.constant
        self._loaded = tf.saved_model.load(str(path))  # its signatures live as long as it does
        self._signature = self._loaded.signatures["serving_default"]
        self._takes = {
            name: spec.dtype for name, spec in self._signature.structured_input_signature[1].items()
        }
        self.inputs = list(self._takes)
        self.outputs = list(self._signature.structured_outputs)

    def run(self, wanted: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the wanted outputs, in that order."""
        # UINT8 pixels may be sent to a model that takes floats.
        tensors = {name: self._tensor(array, self._takes[name]) for name, array in given.items()}
        answer = self._signature(**tensors)
        return [answer[name].numpy() for name in wanted]


class TritonPythonModel:
    """What the Python backend makes one of per instance; the class's name is its demand."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Open the file, or say in a sentence why it does not fit the configuration."""
        config = json.loads(args["model_config"])
        parameters = {k: v["string_value"] for k, v in config.get("parameters", {}).items()}
        path = _file(Path(args["model_repository"], args["model_version"]), parameters.get("file"))
        threads = _threads(parameters.get("threads", "1"), config)
        try:
            self._model = SavedModel(path, threads) if path.is_dir() else Onnx(path, threads)
        except ImportError as error:
            raise pb_utils.TritonModelException(
                f"{path} needs {error.name}, which the server's Python does not have: install it "
                "there, or convert the model to ONNX"
            ) from error
        except Exception as error:
            raise pb_utils.TritonModelException(f"cannot read {path}: {error}") from error
        self._inputs = _same_names("input", config["input"], self._model.inputs, path)
        self._outputs = _same_names("output", config["output"], self._model.outputs, path)
        self._batched = int(config["max_batch_size"]) > 0

    def execute(self, requests: Sequence[Request]) -> list[Response]:
        """Answer the requests in order; those that can go together run as one batch."""
        tensors = [
            [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs]
            for request in requests
        ]
        if self._batched and _stackable(tensors):
            return self._run(requests, tensors)
        return [
            response
            for request, given in zip(requests, tensors, strict=True)
            for response in self._run([request], [given])
        ]

    def _run(self, requests: Sequence[Request], tensors: list[list[np.ndarray]]) -> list[Response]:
        asked = [request.requested_output_names() for request in requests]
        wanted = [name for name in self._outputs if any(name in names for names in asked)]
        # A single request's tensors are views of shared memory: the model reads them in place.
        columns = (
            tensors[0] if len(tensors) == 1 else map(np.concatenate, zip(*tensors, strict=True))
        )
        try:
            arrays = self._model.run(wanted, dict(zip(self._inputs, columns, strict=True)))
        except Exception as error:  # noqa: BLE001 - whatever it is, these requests failed
            return [_failure(error) for _ in requests]
        if len(requests) == 1:
            return [_response(dict(zip(wanted, arrays, strict=True)))]
        ends = np.cumsum([0, *(len(given[0]) for given in tensors)])
        return [
            _response({n: a[begin:end] for n, a in zip(wanted, arrays, strict=True) if n in names})
            for names, (begin, end) in zip(asked, pairwise(ends), strict=True)
        ]


def _threads(said: str, config: dict[str, Any]) -> int:
    """Return the threads of one instance."""
    if said != "auto":
        return int(said)
    instances = sum(int(group["count"]) for group in config.get("instance_group", []))
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) // max(1, instances)))


def _file(folder: Path, name: str | None) -> Path:
    """Return the model's file or folder: the named one, or the first of `FILES` that is there."""
    names = [name] if name else FILES
    for path in (folder / each for each in names):
        if path.exists():
            return path
    raise pb_utils.TritonModelException(f"{folder / names[0]} is missing")


def _same_names(
    kind: str, configured: list[dict[str, Any]], found: list[str], path: Path
) -> list[str]:
    """Return the names, if the configuration's are the file's."""
    names = [tensor["name"] for tensor in configured]
    missing = set(names) - set(found)
    if missing or (kind == "input" and set(found) - set(names)):
        raise pb_utils.TritonModelException(
            f"config.pbtxt names the {kind}s {', '.join(names)}, {path.name} has {', '.join(found)}"
        )
    return names


def _stackable(tensors: list[list[np.ndarray]]) -> bool:
    return len({tuple(array.shape[1:] for array in given) for given in tensors}) == 1


def _response(arrays: dict[str, np.ndarray]) -> Response:
    tensors = [pb_utils.Tensor(name, np.ascontiguousarray(a)) for name, a in arrays.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _failure(error: Exception) -> Response:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
