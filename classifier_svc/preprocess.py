"""From a crop's pixels to the model's input, and from its output to scores. Knows no server.

Training uses this module too, so that a model sees the same pixels in both.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.errors import ModelMismatch
from secondlook.model_spec import ModelSpec

INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
GREY = 114
"""Fills what a letterboxed crop leaves free, as in the detector."""
TOLERANCE = 0.01
"""Probabilities in half precision leave 0..1 by less than this."""


def check(spec: ModelSpec) -> None:
    """Refuse a model whose input type cannot hold the values that its parameters ask for.

    Raises:
        ModelMismatch: It takes UINT8 and wants its values scaled or centred.
    """
    given = spec.parameters
    changed = given.mean is not None or given.std is not None or given.value_range == "0..1"
    if spec.input.datatype == "UINT8" and changed:
        raise ModelMismatch(
            f"the classifier {spec.name} takes UINT8, so its value_range is 0..255 and mean and "
            "std have no place; correct its parameters"
        )


def fit(image: NDArray[np.uint8], spec: ModelSpec, out: NDArray[Any]) -> None:
    """Write a crop into a model's input.

    Args:
        image: (height, width, 3) uint8 BGR, at least 1 pixel each way.
        spec: The classifier, as `Triton.model` has checked it.
        out: One picture's place in the input, of the shape and type that `spec.input` states;
            overwritten as a whole.
    """
    given = spec.parameters
    height, width = spec.input_size
    interpolation = INTERPOLATIONS[given.interpolation or "linear"]
    if given.resize == "letterbox":
        pixels = _letterboxed(image, height, width, interpolation)
    else:
        pixels = _resized(image, height, width, interpolation)
    if given.channels == "rgb":
        pixels = pixels[:, :, ::-1]
    if spec.input.datatype == "UINT8":
        values: NDArray[Any] = pixels
    else:
        values = pixels.astype(np.float32)
        if given.value_range == "0..1":
            values /= np.float32(255)
        if given.mean is not None:
            values -= np.asarray(given.mean, np.float32)
        if given.std is not None:
            values /= np.asarray(given.std, np.float32)
    out[...] = values.transpose(2, 0, 1) if spec.layout == "nchw" else values


def _resized(
    image: NDArray[np.uint8], height: int, width: int, interpolation: int
) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=interpolation).astype(
        np.uint8, copy=False
    )


def _letterboxed(
    image: NDArray[np.uint8], height: int, width: int, interpolation: int
) -> NDArray[np.uint8]:
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    inner_width = min(width, max(1, round(image.shape[1] * scale)))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = _resized(
        image, inner_height, inner_width, interpolation
    )
    return canvas


def decode(values: NDArray[Any], spec: ModelSpec) -> list[Mapping[str, float] | None]:
    """Turn a classifier's output into scores by label, one entry per crop.

    Logits become probabilities by softmax. Where a row holds NaN, infinities, or
    "probabilities" outside 0..1, its entry is None.

    Args:
        values: (n, labels), floating point.
        spec: The classifier, as `Triton.model` has checked it.

    Raises:
        ModelMismatch: The output has another shape.
    """
    labels = spec.parameters.labels or ()
    if values.ndim != 2 or values.shape[1] != len(labels):  # noqa: PLR2004 - crops and labels
        raise ModelMismatch(
            f"the classifier {spec.name} answered {list(values.shape)}; "
            f"expected one row of {len(labels)} values per crop"
        )
    with np.errstate(invalid="ignore"):  # a signalling NaN is found in the next line
        rows = values.astype(np.float64)
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(rows).all(axis=1))
    if spec.parameters.output == "logits":
        shifted = np.where(usable[:, None], rows, 0.0)
        powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        rows = powers / powers.sum(axis=1, keepdims=True)
    else:
        with np.errstate(invalid="ignore"):
            usable &= ((rows >= -TOLERANCE) & (rows <= 1 + TOLERANCE)).all(axis=1)
    rows = np.clip(rows, 0.0, 1.0)
    return [
        dict(zip(labels, row.tolist(), strict=True)) if fine else None
        for row, fine in zip(rows, usable, strict=True)
    ]
