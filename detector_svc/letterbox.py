"""How a frame of any size becomes a model's input, and how boxes come back from it.

The padding is integer and the inverse uses the padding and size that were really used: mapping
back with YOLOv5's unrounded padding is up to half a canvas pixel off, which costs small boxes
their overlap.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.errors import ModelMismatch
from secondlook.model_spec import ModelSpec

GREY = 114
"""Value of the padding, as YOLO models are trained with."""

_INTERPOLATION = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
Pixel = type[np.uint8 | np.float32 | np.float16]
_DTYPE: dict[str, Pixel] = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}


@dataclass(frozen=True, slots=True)
class InputForm:
    """What a detector wants to be fed, one picture at a time."""

    height: int
    width: int
    layout: Literal["nchw", "nhwc"]
    dtype: Pixel
    resize: Literal["letterbox", "stretch"]
    interpolation: Literal["linear", "cubic", "area"]
    channels: Literal["rgb", "bgr"]
    gain: tuple[float, float, float]
    """Input value = pixel * gain + bias, per channel in the order of `channels`."""
    bias: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one picture as the model takes it."""
        if self.layout == "nchw":
            return 3, self.height, self.width
        return self.height, self.width, 3

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Return the form of a served model, whose input has been found to be a picture.

        Raises:
            ModelMismatch: Its parameters leave something open or contradict its input.
        """
        given = spec.parameters
        if given.channels is None or given.value_range is None or given.resize is None:
            raise ModelMismatch(
                f"model {spec.name!r} does not say its channels, value_range and resize: give them "
                "as `parameters` in its config.pbtxt or under detector.parameters"
            )
        height, width = spec.input_size
        dtype = _DTYPE[spec.input.datatype]
        gain, bias = _affine(given.value_range, given.mean, given.std)
        if dtype is np.uint8 and (gain, bias) != ((1.0,) * 3, (0.0,) * 3):
            raise ModelMismatch(
                f"the input of model {spec.name!r} is UINT8, which holds 0..255 and nothing else: "
                "correct its value_range, mean and std in config.pbtxt or under detector.parameters"
            )
        return cls(
            height,
            width,
            spec.layout,
            dtype,
            given.resize,
            given.interpolation or "linear",
            given.channels,
            gain,
            bias,
        )


def _affine(
    value_range: str,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return (gain, bias) so that pixel * gain + bias is what the model was trained on."""
    unit = 1 / 255 if value_range == "0..1" else 1.0
    mean, std = mean or (0.0,) * 3, std or (1.0,) * 3
    gain = (unit / std[0], unit / std[1], unit / std[2])
    bias = (0 - mean[0] / std[0], 0 - mean[1] / std[1], 0 - mean[2] / std[2])
    return gain, bias


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a frame lies on a model's canvas."""

    frame_height: int
    frame_width: int
    top: int
    left: int
    height: int
    """Rows of the canvas that the frame covers, at least one."""
    width: int

    def to_frame(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Map boxes from the canvas to the frame, clipped to it.

        Args:
            boxes: shape (n, 4), x1 y1 x2 y2 in canvas pixels.

        Returns:
            float32 of shape (n, 4) in frame pixels, 0 <= x <= width and 0 <= y <= height. A box
            that lies on the padding alone comes back without area.
        """
        back = (np.asarray(boxes, np.float64) - self._offset) / self._scale
        limits = np.array([self.frame_width, self.frame_height] * 2, np.float64)
        return np.clip(back, 0.0, limits).astype(np.float32)

    def to_canvas(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Map boxes of shape (n, 4) from the frame to the canvas."""
        there = np.asarray(boxes, np.float64) * self._scale + self._offset
        return there.astype(np.float32)

    @property
    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top] * 2, np.float64)

    @property
    def _scale(self) -> NDArray[np.float64]:
        across = self.width / self.frame_width
        down = self.height / self.frame_height
        return np.array([across, down] * 2, np.float64)


def place(
    frame_height: int,
    frame_width: int,
    height: int,
    width: int,
    resize: Literal["letterbox", "stretch"] = "letterbox",
) -> Fit:
    """Return where a frame lies on a canvas of height x width.

    A letterbox keeps the frame's proportions and centres it; of an odd rest, the smaller half is
    at the top and left. A frame so thin that it would vanish keeps one row or column.

    Raises:
        ValueError: The frame or the canvas has no pixels.
    """
    if min(frame_height, frame_width, height, width) < 1:
        raise ValueError(
            f"a frame of {frame_width}x{frame_height} cannot be put on {width}x{height}"
        )
    if resize == "stretch":
        return Fit(frame_height, frame_width, 0, 0, height, width)
    scale = min(height / frame_height, width / frame_width)
    covered_height = max(1, min(height, round(frame_height * scale)))
    covered_width = max(1, min(width, round(frame_width * scale)))
    top, left = (height - covered_height) // 2, (width - covered_width) // 2
    return Fit(frame_height, frame_width, top, left, covered_height, covered_width)


def fit(image: NDArray[np.uint8], form: InputForm, out: NDArray[Any]) -> Fit:
    """Write a frame into a model's input, in the form that the model takes.

    Every value of `out` is written, so it may hold an older frame of another size.

    Args:
        image: uint8 of shape (height, width, 3), BGR, rows from the top.
        form: What the model takes.
        out: writable, of shape `form.shape` and type `form.dtype`.

    Returns:
        Where the frame lies now, for the way back.

    Raises:
        ValueError: `image` or `out` has another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:  # noqa: PLR2004 - height, width, channels
        raise ValueError(f"a frame is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    if out.shape != form.shape or out.dtype != form.dtype:
        raise ValueError(
            f"the model takes {np.dtype(form.dtype)} {form.shape}, not {out.dtype} {out.shape}"
        )
    placed = place(image.shape[0], image.shape[1], form.height, form.width, form.resize)
    pixels = cv2.resize(
        image,
        (placed.width, placed.height),
        interpolation=_INTERPOLATION[form.interpolation],
    )
    if form.channels == "rgb":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    rows = slice(placed.top, placed.top + placed.height)
    columns = slice(placed.left, placed.left + placed.width)
    # One plane at a time: numpy is eight times slower when it repeats three values per pixel.
    planes = out if form.layout == "nchw" else out.transpose(2, 0, 1)
    if form.dtype is np.uint8:
        _pad(out if form.layout == "nhwc" else out.transpose(1, 2, 0), placed, GREY)
        planes[:, rows, columns] = pixels.transpose(2, 0, 1)
        return placed
    for plane, values, gain, bias in zip(
        planes, cv2.split(pixels), form.gain, form.bias, strict=True
    ):
        _pad(plane, placed, GREY * gain + bias)
        part = plane[rows, columns]
        np.multiply(values, np.float32(gain), out=part, casting="same_kind")
        part += np.float32(bias)
    return placed


def _pad(rows: NDArray[Any], placed: Fit, value: float) -> None:
    """Fill what the frame does not cover; rows and columns are the first two axes."""
    rows[: placed.top] = value
    rows[placed.top + placed.height :] = value
    beside = rows[placed.top : placed.top + placed.height]
    beside[:, : placed.left] = value
    beside[:, placed.left + placed.width :] = value
