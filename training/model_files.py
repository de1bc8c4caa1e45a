"""The text of a model folder's files: configurations for every platform, and the card. No I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from secondlook.model_request import LICENCE_MARK
from secondlook.model_spec import ModelParameters, Tensor

_SHOWN = 8
FUSED_BATCH = {"detector": 8, "classifier": 16}
"""The most pictures of a call, where the model takes more than one."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One way to run a model, named as its configs/<name>.pbtxt."""

    name: str
    what: str
    head: tuple[str, ...]
    """Lines that choose the backend."""
    instance: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the backend's own."""
    instances: int = 1


PYTHON = Platform(
    "python",
    "onnxruntime inside the Python backend: 1/model.py reads 1/model.onnx. "
    "The pip-installed server's platform.",
    ('backend: "python"',),
    "KIND_CPU",
    {"threads": "auto"},
)
ONNX = Platform(
    "onnx",
    "NVIDIA's image: 1/model.onnx on the GPU where there is one, else on the CPU.",
    ('backend: "onnxruntime"', 'default_model_filename: "model.onnx"'),
)
TENSORRT = Platform(
    "tensorrt",
    "1/model.plan, built from 1/model.onnx on the device that runs it.",
    ('backend: "tensorrt"', 'default_model_filename: "model.plan"'),
    "KIND_GPU",
)
TORCH = Platform(
    "torch",
    "PyTorch on an NVIDIA GPU inside the Python backend: 1/model_torch.py reads 1/model.onnx.",
    ('backend: "python"', 'default_model_filename: "model_torch.py"'),
    "KIND_CPU",
    instances=4,
)
TENSORFLOW = Platform(
    "tensorflow",
    "1/model.savedmodel in images that still have the TensorFlow backend (up to 25.02).",
    ('platform: "tensorflow_savedmodel"', 'default_model_filename: "model.savedmodel"'),
)


@dataclass(frozen=True, slots=True)
class Form:
    """A model's tensors and parameters, as one platform has them."""

    input: Tensor
    outputs: tuple[Tensor, ...]
    parameters: ModelParameters
    max_batch: int


def fused_form(
    kind: str, height: int, width: int, parameters: ModelParameters, *, top: int, batches: bool
) -> Form:
    """Return the form of a model fused by `training.export`.

    Args:
        kind: `detector` or `classifier`.
        height: Of the input.
        width: Of the input.
        parameters: As the raw model has them; what is in the graph now is left out.
        top: How many candidates a detector answers.
        batches: Whether it takes more than one picture.
    """
    outputs: tuple[Tensor, ...] = (Tensor("scores", "FP32", (len(parameters.labels or ()),)),)
    if kind == "detector":
        outputs = (
            Tensor("boxes", "FP32", (top, 4)), Tensor("scores", "FP32", (top,)),
            Tensor("labels", "INT32", (top,)), Tensor("count", "INT32", (1,)),
        )  # fmt: skip
    inside = {
        "output": "fused" if kind == "detector" else "probabilities",
        "value_range": "0..255",
        "mean": None,
        "std": None,
        "layout": "nhwc",
    }
    served = ModelParameters.model_validate(parameters.model_dump() | inside)
    picture = Tensor("images", "UINT8", (height, width, 3))
    return Form(picture, outputs, served, FUSED_BATCH[kind] if batches else 1)


def config_text(name: str, platform: Platform, form: Form) -> str:
    """Return a config.pbtxt."""
    outputs = ",\n".join(f"  {_tensor(tensor)}" for tensor in form.outputs)
    lines = [
        f"# {platform.what}",
        f"name: {json.dumps(name)}",
        *platform.head,
        f"max_batch_size: {form.max_batch}",
        f"input [\n  {_tensor(form.input)}\n]",
        f"output [\n{outputs}\n]",
        "dynamic_batching { }",
    ]
    if platform.instance:
        lines.append(
            f"instance_group [ {{ kind: {platform.instance} count: {platform.instances} }} ]"
        )
    said = form.parameters.model_dump(exclude_none=True)
    for key, value in {**said, **platform.extra}.items():
        text = json.dumps(_parameter(value), ensure_ascii=False)
        lines.append(f'parameters {{ key: "{key}" value: {{ string_value: {text} }} }}')
    return "\n".join(lines) + "\n"


def _tensor(tensor: Tensor) -> str:
    dims = ", ".join(map(str, tensor.shape))
    name = json.dumps(tensor.name)
    return f"{{ name: {name} data_type: TYPE_{tensor.datatype} dims: [ {dims} ] }}"


def _parameter(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def card_text(name: str, facts: Sequence[tuple[str, str]], licence: str) -> str:
    """Return the card: one line per fact, and the licence last."""
    said = [f"- **{key}**: {value}" for key, value in facts]
    return "\n".join([f"# {name}", "", *said, f"{LICENCE_MARK}{licence}", ""])


def config_lines(kind: str, name: str, labels: Sequence[str]) -> list[str]:
    """Return what to write into config.yaml to use a model."""
    if kind == "detector":
        return ["detector:", f"  model: {name}"]
    known = ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
    return [
        "classifier:",
        f"  model: {name}",
        "alerts:",
        f"  labels: [{labels[0]}]   # those that shall alert, of {known}",
    ]
