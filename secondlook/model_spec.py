"""What a model expects and answers, apart from what its server can tell. No I/O."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Score = Annotated[float, Field(ge=0.0, le=1.0)]


def _split(value: object) -> object:
    """Take `a,b,c`, as a config.pbtxt has it, for a list."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Labels = Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)]
PerChannel = Annotated[tuple[float, float, float], BeforeValidator(_split)]


class ModelParameters(BaseModel):
    """What Triton cannot know of a model: `parameters` in its config.pbtxt.

    The same keys in the configuration override them one by one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Labels | None = None
    """Names of the model's outputs, in order; comma-separated in config.pbtxt."""
    output: Literal["yolov5", "yolov8", "fused", "probabilities", "logits"] | None = None
    """`yolov5`: rows of centre x, centre y, width, height, objectness, one score per label
    (anchor-based, v5 to v7). `yolov8`: columns of box and label scores (v5u, v8, v11).
    `fused`: boxes, scores, labels and count from the graph itself. `probabilities` or `logits`:
    one value per label."""
    channels: Literal["rgb", "bgr"] | None = None
    """Order of the colour channels that the model was trained on."""
    value_range: Literal["0..1", "0..255"] | None = None
    """Range of the input values before `mean` and `std`."""
    mean: PerChannel | None = None
    """Subtracted from each channel, in units of `value_range`, in the order of `channels`."""
    std: PerChannel | None = None
    """Each channel is divided by it after `mean`."""
    resize: Literal["letterbox", "stretch"] | None = None
    """`letterbox` keeps the proportions and fills up with grey; `stretch` does not."""
    interpolation: Literal["linear", "cubic", "area"] | None = None
    """How pixels are made when a picture is resized."""
    layout: Literal["nchw", "nhwc"] | None = None
    """Needed only where the shape leaves it open."""
    fallback_label: str | None = None
    """The label of a look whose best score is below `fallback_below`."""
    fallback_below: Score | None = None
    """See `fallback_label`."""
    min_score: Score | None = None
    """The operating point of a detector: the score from which a detection counts."""

    @model_validator(mode="after")
    def _fallback_is_whole(self) -> Self:
        if (self.fallback_label is None) != (self.fallback_below is None):
            raise ValueError("fallback_label and fallback_below belong together: give both")
        if self.fallback_label and self.labels and self.fallback_label not in self.labels:
            raise ValueError(f"fallback_label {self.fallback_label!r} is not one of the labels")
        return self

    def overridden_by(self, other: Self | None) -> Self:
        """Return these parameters with every key that `other` gives taken from it."""
        if other is None:
            return self
        given: dict[str, Any] = other.model_dump(exclude_none=True)
        return type(self).model_validate(self.model_dump(exclude_none=True) | given)


_DTYPES: Final = {
    "UINT8": np.uint8,
    "FP32": np.float32,
    "FP16": np.float16,
    "INT32": np.int32,
    "INT64": np.int64,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output as the server declares it, without the batch dimension."""

    name: str
    datatype: Literal["UINT8", "FP32", "FP16", "INT32", "INT64"]
    shape: tuple[int, ...]
    """-1 stands for a size that is free."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type as numpy has it."""
        return np.dtype(_DTYPES[self.datatype])


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as it is served, with what its parameters add."""

    name: str
    version: str
    input: Tensor
    outputs: tuple[Tensor, ...]
    max_batch_size: int
    """0: the model takes no batch dimension at all."""
    parameters: ModelParameters
    batch_in_shape: bool = False
    """With `max_batch_size` 0: the tensors declare a first axis of one, which the shapes omit."""

    def with_outputs(self, outputs: tuple[Tensor, ...]) -> Self:
        """Return this model with only those outputs."""
        return replace(self, outputs=outputs)

    @property
    def layout(self) -> Literal["nchw", "nhwc"]:
        """The order of the input's axes, from its shape unless the parameters say it."""
        if self.parameters.layout:
            return self.parameters.layout
        return "nchw" if self.input.shape[0] in (1, 3) else "nhwc"

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the input in pixels."""
        height, width = self.input.shape[1:] if self.layout == "nchw" else self.input.shape[:2]
        return height, width
