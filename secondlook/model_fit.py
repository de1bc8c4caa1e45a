"""Whether a model can do what its parameters say, and whether its answers are answers. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from secondlook.errors import ModelMismatch, TritonUnavailable
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

Answers = Literal["boxes", "labels"]
"""What a model is asked for: where things are, or what one thing is."""

ANSWERS_OF: Final[Mapping[str, Answers]] = {
    "yolov5": "boxes",
    "yolov8": "boxes",
    "fused": "boxes",
    "probabilities": "labels",
    "logits": "labels",
}
_REQUIRED: Final = ("labels", "output", "channels", "value_range", "resize")
_INPUT_TYPES: Final = ("UINT8", "FP32", "FP16")
_TYPES: Final = get_args(Tensor.__annotations__["datatype"])
_FUSED: Final = ("boxes", "scores", "labels", "count")


def spec_of(
    config: Mapping[str, Any],
    *,
    version: str,
    overrides: ModelParameters | None = None,
    answers: Answers | None = None,
) -> ModelSpec:
    """Read a model's configuration as Triton gives it, in JSON, and check that it can be used.

    Args:
        config: The `config` part of Triton's model configuration (inputs, outputs, parameters).
        version: The version that answers.
        overrides: Parameters of the user's configuration; each goes before the model's own.
        answers: What the model is wanted for; `None` takes either.

    Raises:
        ModelMismatch: It cannot be used; the text says why and what to do.
    """
    name = str(config["name"])
    try:
        parameters = _parameters(config).overridden_by(overrides)
        spec = _spec(config, name, version, parameters)
        _check_parameters(parameters, answers)
        _check_picture(spec)
        return _with_fitting_outputs(spec)
    except _Misfit as misfit:
        raise ModelMismatch(f"model {name!r}: {misfit}") from None


def ready_version(
    index: Iterable[Mapping[str, Any]], name: str, version: str, *, where: str
) -> str:
    """Return which version of a model would answer, by what a server tells of its repository.

    Args:
        index: Triton's repository index, in JSON: `name`, `version`, `state` and `reason` of each.
        name: The model.
        version: The version that is wanted; empty: the newest.
        where: The server, in words.

    Raises:
        ModelMismatch: It has no such model, or could not load it.
        TritonUnavailable: It has not loaded it yet.
    """
    models = list(index)
    mine = [m for m in models if m["name"] == name and version in ("", m.get("version", ""))]
    if ready := [str(m.get("version", "1")) for m in mine if m.get("state") == "READY"]:
        return max(ready, key=lambda text: (len(text), text))  # numbers, as text
    wanted = f"{name!r} version {version}" if version else repr(name)
    if not mine:
        others = ", ".join(sorted({m["name"] for m in models})) or "none at all"
        raise ModelMismatch(f"{where} has no model {wanted}; it has {others}")
    for reason in (m.get("reason", "") for m in mine if m.get("state") == "UNAVAILABLE"):
        if reason and reason != "unloaded":
            # The lines after the first are stack frames of the server.
            first = reason.split("\n", 1)[0].removeprefix("Internal: ")
            raise ModelMismatch(f"{where} could not load the model {wanted}: {first}")
    raise TritonUnavailable(f"{where} has not loaded the model {wanted}")


class _Misfit(Exception):
    """Why a model cannot be used, without its name."""


def _parameters(config: Mapping[str, Any]) -> ModelParameters:
    values = {k: v.get("string_value", "") for k, v in config.get("parameters", {}).items()}
    # Backends have parameters of their own beside ours.
    ours = {k: v for k, v in values.items() if k in ModelParameters.model_fields}
    try:
        return ModelParameters.model_validate(ours)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'parameters'}: {e['msg']}" for e in error.errors()
        )
        raise _Misfit(f"the parameters in its config.pbtxt are not valid: {wrong}") from None


def _spec(
    config: Mapping[str, Any], name: str, version: str, parameters: ModelParameters
) -> ModelSpec:
    inputs = [tensor for tensor in config.get("input", ()) if not tensor.get("optional")]
    if len(inputs) != 1:
        names = ", ".join(tensor["name"] for tensor in inputs) or "none"
        raise _Misfit(f"it needs exactly one input, the picture; its inputs: {names}")
    batch = int(config.get("max_batch_size", 0))
    dims = _dims(inputs[0])
    whole = batch == 0 and len(dims) == 4 and dims[0] in (1, -1)  # noqa: PLR2004 - batch, and a picture's three axes
    return ModelSpec(
        name=name,
        version=version,
        input=_tensor(inputs[0], _INPUT_TYPES, whole=whole),
        outputs=tuple(_tensor(t, _TYPES, whole=whole) for t in config.get("output", ())),
        max_batch_size=batch,
        batch_in_shape=whole,
        parameters=parameters,
    )


def _dims(tensor: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.get("dims", ()))


def _tensor(tensor: Mapping[str, Any], types: Sequence[str], *, whole: bool) -> Tensor:
    datatype: Any = str(tensor["data_type"]).removeprefix("TYPE_")
    if datatype not in types:
        raise _Misfit(
            f"tensor {tensor['name']!r} is {datatype}; only {', '.join(types)} can be used there"
        )
    dims = _dims(tensor)
    return Tensor(str(tensor["name"]), datatype, dims[1:] if whole else dims)


def _check_parameters(parameters: ModelParameters, answers: Answers | None) -> None:
    missing = [key for key in _REQUIRED if getattr(parameters, key) is None]
    if missing:
        raise _Misfit(
            f"nothing says its {', '.join(missing)}; add them to the `parameters` of its "
            "config.pbtxt, or under `parameters` in the configuration"
        )
    kind = parameters.output or ""
    if answers and ANSWERS_OF[kind] != answers:
        wanted = " or ".join(k for k, v in ANSWERS_OF.items() if v == answers)
        raise _Misfit(f"its output is {kind!r}, but here a model with {wanted} is needed")


def _check_picture(spec: ModelSpec) -> None:
    shape = spec.input.shape
    if len(shape) != 3:  # noqa: PLR2004 - height, width, channels
        raise _Misfit(
            f"its input {spec.input.name!r} has the shape {list(shape)}; a picture has three axes"
        )
    channels = shape[0] if spec.layout == "nchw" else shape[2]
    height, width = spec.input_size
    if channels != 3 or min(height, width) < 1:  # noqa: PLR2004 - red, green, blue
        raise _Misfit(
            f"its input {spec.input.name!r} has the shape {list(shape)}, read as "
            f"{spec.layout.upper()}; it needs three channels and a fixed height and width "
            "(the parameter `layout` says the order)"
        )


def _with_fitting_outputs(spec: ModelSpec) -> ModelSpec:
    """Leave only the outputs that are read: exports often carry others beside them."""
    kind, labels = spec.parameters.output, len(spec.parameters.labels or ())
    if kind == "fused":
        by_name = {tensor.name: tensor for tensor in spec.outputs}
        if missing := [name for name in _FUSED if name not in by_name]:
            raise _Misfit(
                f"a fused model needs the outputs {', '.join(_FUSED)}; "
                f"it lacks {', '.join(missing)}"
            )
        return spec.with_outputs(tuple(by_name[name] for name in _FUSED))
    wanted = {"yolov5": (-1, 5 + labels), "yolov8": (4 + labels, -1)}.get(kind or "", (labels,))
    fitting = tuple(t for t in spec.outputs if _fits(t, wanted))
    if len(fitting) != 1:
        found = ", ".join(f"{t.name} {t.datatype} {list(t.shape)}" for t in spec.outputs)
        shape = str([size if size > 0 else "any" for size in wanted]).replace("'", "")
        raise _Misfit(
            f"{kind} with {labels} labels needs one floating-point output of the shape {shape}; "
            f"it has {found} (check `output` and `labels`)"
        )
    return spec.with_outputs(fitting)


def _fits(tensor: Tensor, wanted: tuple[int, ...]) -> bool:
    return (
        tensor.datatype in ("FP32", "FP16")
        and len(tensor.shape) == len(wanted)
        and all(-1 in (a, b) or a == b for a, b in zip(tensor.shape, wanted, strict=True))
    )


def known_images(spec: ModelSpec, count: int) -> NDArray[Any]:
    """Return the pictures that every model must answer at the start.

    Returns:
        (count, *input.shape) of the input's type: slanted ramps in the range of the model's values.
    """
    # In bytes, which wrap around: large memory, once it was taken, stays with the process.
    places = (np.arange(size).astype(np.uint8) for size in spec.input.shape)
    steps = [place * np.uint8(step) for place, step in zip(places, (3, 5, 7), strict=True)]
    down, across, along = np.ix_(*steps)
    ramp = down + across + along
    values = ramp / np.float32(255) if spec.parameters.value_range == "0..1" else ramp
    return np.broadcast_to(values.astype(spec.input.dtype), (count, *spec.input.shape))


def wrong_with(spec: ModelSpec, outputs: Mapping[str, NDArray[Any]], count: int) -> str | None:
    """Return what is wrong with the answers to `known_images`, or None.

    Args:
        spec: The model that answered.
        outputs: Its answers by output name, each (count, *shape).
        count: How many pictures it was given.
    """
    for tensor in spec.outputs:
        answer = outputs[tensor.name]
        expected = (count, *tensor.shape)
        if answer.size == 0:
            return (
                f"output {tensor.name!r} came back empty; "
                "a Python backend with numpy 2 does that: its environment needs numpy < 2"
            )
        if len(answer.shape) != len(expected) or any(
            size not in (-1, got) for size, got in zip(expected, answer.shape, strict=True)
        ):
            return (
                f"output {tensor.name!r} has the shape {list(answer.shape)}, "
                f"but its configuration says {list(expected)}"
            )
        if not np.isfinite(answer).all():
            return f"output {tensor.name!r} holds values that are no numbers (NaN or infinity)"
    return _wrong_scores(spec, outputs)


def _wrong_scores(spec: ModelSpec, outputs: Mapping[str, NDArray[Any]]) -> str | None:
    kind = spec.parameters.output
    if kind == "logits":
        return None
    first_score = {"yolov5": 4, "yolov8": 4}.get(kind or "", 0)
    answer = outputs["scores" if kind == "fused" else spec.outputs[0].name]
    values = answer[:, first_score:] if kind == "yolov8" else answer[..., first_score:]
    # Half precision rounds: a little beyond the range is still a score.
    if values.min() < -0.01 or values.max() > 1.01:  # noqa: PLR2004 - said above
        hint = " (logits?)" if kind == "probabilities" else ""
        return (
            f"it says {kind}, but its scores reach from {values.min():.3g} to {values.max():.3g} "
            f"instead of 0 to 1{hint}; check `output`"
        )
    return None
