"""What a YOLO's output means: raw anchor-based, raw anchor-free or fused, and what NMS keeps.

An output is a stranger's numbers: NaN, infinities, boxes a thousand pictures wide and scores
above one are dropped and counted, never passed on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from secondlook.errors import ModelError, ModelMismatch
from secondlook.model_spec import ModelSpec

MAX_CANDIDATES = 3000
"""Boxes that enter NMS, best first: its time grows with their square. A fused graph keeps 1000;
the best 100 alone would lose a tenth of what NMS keeps on COCO."""
_BEYOND = 16
"""A box that reaches further than so many canvases is a broken number."""
_ROUNDING = 1e-3
"""FP16 may bring a score this far above 1."""

Kind = Literal["yolov5", "yolov8", "fused"]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of one picture as parallel arrays.

    Attributes:
        boxes: float32 of shape (n, 4): x1, y1, x2, y2 in pixels.
        scores: float32 of shape (n,), 0..1.
        labels: int32 of shape (n,): indices into the model's labels.

    Raises:
        ValueError: The arrays do not belong together.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.scores)
        for name, array, shape, dtype in (
            ("boxes", self.boxes, (n, 4), np.float32),
            ("scores", self.scores, (n,), np.float32),
            ("labels", self.labels, (n,), np.int32),
        ):
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"{name} must be {np.dtype(dtype)} {shape}, not {array.dtype} {array.shape}"
                )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, which: NDArray[Any] | slice) -> Self:
        """Return the detections that a mask, indices or a slice choose."""
        return type(self)(self.boxes[which], self.scores[which], self.labels[which])

    @classmethod
    def none(cls) -> Self:
        """Return no detections."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What one output said, before NMS."""

    detections: Detections
    """In canvas pixels, best score first, scores >= the floor."""
    invalid: int
    """Rows that were no numbers, or impossible ones."""
    limit_reached: bool
    """More boxes were good enough than are kept here: some were lost before NMS."""


@dataclass(frozen=True, slots=True)
class Head:
    """How to read a detector's output."""

    kind: Kind
    labels: tuple[str, ...]
    canvas: tuple[int, int]
    """(height, width) of the model's input."""
    output: str
    """Name of the one output, where it is raw."""

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Return how to read a served model, whose outputs have been found to fit its labels.

        Raises:
            ModelMismatch: It is no detector, or does not say how to read it.
        """
        given = spec.parameters
        if given.labels is None or given.output not in get_args(Kind):
            raise ModelMismatch(
                f"model {spec.name!r} cannot be the detector: it needs `labels` and one of "
                f"{', '.join(get_args(Kind))} as `output` among its parameters"
            )
        kind: Kind = given.output  # type: ignore[assignment]  # one of the three, as seen above
        return cls(kind, given.labels, spec.input_size, spec.outputs[0].name)

    def decode(
        self, outputs: Mapping[str, NDArray[Any]], *, row: int = 0, min_score: float = 0.25
    ) -> Decoded:
        """Read one picture's detections.

        Args:
            outputs: The model's outputs with their batch dimension.
            row: Which picture of the batch.
            min_score: Detections below it are left out.

        Raises:
            ModelError: An output is missing or has another shape than at the start.
        """
        try:
            # A broken output may overflow anywhere: its numbers are checked, not its warnings.
            with np.errstate(all="ignore"):
                if self.kind == "fused":
                    return self._fused(outputs, row, min_score)
                output = np.asarray(outputs[self.output])[row]
                if self.kind == "yolov5":
                    return self._yolov5(output, min_score)
                return self._yolov8(output, min_score)
        except (KeyError, IndexError, OverflowError, TypeError, ValueError) as error:
            shapes = {name: np.shape(value) for name, value in outputs.items()}
            raise ModelError(
                f"the answer {shapes} cannot be read as {self.kind} with {len(self.labels)} labels"
            ) from error

    def _yolov5(self, output: NDArray[Any], min_score: float) -> Decoded:
        """Read rows of centre x, centre y, width, height, objectness, one score per label."""
        if output.ndim != 2 or output.shape[1] != 5 + len(self.labels):  # noqa: PLR2004 - a table
            raise ValueError("another number of columns")
        objectness = output[:, 4]
        # Most rows are background: a score never exceeds its objectness unless a number is broken.
        chosen = ~(objectness < min_score)
        rows = output[chosen].astype(np.float32)
        scores = rows[:, 5:] * rows[:, 4:5]
        return self._centred(rows[:, :4], scores, min_score)

    def _yolov8(self, output: NDArray[Any], min_score: float) -> Decoded:
        """Read columns of centre x, centre y, width, height, one score per label."""
        if output.ndim != 2 or output.shape[0] != 4 + len(self.labels):  # noqa: PLR2004 - a table
            raise ValueError("another number of rows")
        best = output[4:].max(axis=0)
        chosen = ~(best < min_score)
        columns = output[:, chosen].astype(np.float32)
        return self._centred(columns[:4].T, columns[4:].T, min_score)

    def _centred(
        self, boxes: NDArray[np.float32], label_scores: NDArray[np.float32], min_score: float
    ) -> Decoded:
        half = boxes[:, 2:] / 2
        corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        labels = label_scores.argmax(axis=1)
        scores = label_scores[np.arange(len(labels)), labels]
        # argmax stops at the first NaN of a row, so a row with a NaN score is found below.
        return self._checked(corners, scores, labels, min_score)

    def _fused(self, outputs: Mapping[str, NDArray[Any]], row: int, min_score: float) -> Decoded:
        boxes = np.asarray(outputs["boxes"][row], np.float32)
        scores = np.asarray(outputs["scores"][row], np.float32).reshape(-1)
        labels = np.asarray(outputs["labels"][row]).reshape(-1)
        count = int(np.asarray(outputs["count"][row]).reshape(-1)[0])
        if boxes.shape != (len(scores), 4) or len(labels) != len(scores):
            raise ValueError("boxes, scores and labels differ in length")
        full = count >= len(scores) > 0 and bool((scores >= min_score).all())
        decoded = self._checked(boxes, scores, labels, min_score)
        return Decoded(decoded.detections, decoded.invalid, full or decoded.limit_reached)

    def _checked(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        labels: NDArray[Any],
        min_score: float,
    ) -> Decoded:
        """Sort out what is no detection; sort the rest, best first."""
        counts = ~(scores < min_score)  # a NaN counts, so that it is seen below
        boxes, scores, labels = boxes[counts], scores[counts], labels[counts]
        furthest = _BEYOND * max(self.canvas)
        valid = (
            np.isfinite(boxes).all(axis=1)
            & (np.abs(boxes) <= furthest).all(axis=1)
            & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
            & (scores <= 1 + _ROUNDING)
            & (labels >= 0)
            & (labels < len(self.labels))
        )
        invalid = int(len(valid) - np.count_nonzero(valid))
        best_first = np.argsort(-scores[valid], kind="stable")
        kept = best_first[:MAX_CANDIDATES]
        detections = Detections(
            np.ascontiguousarray(boxes[valid][kept], np.float32),
            np.minimum(scores[valid][kept], 1.0).astype(np.float32),
            labels[valid][kept].astype(np.int32),
        )
        return Decoded(detections, invalid, len(best_first) > MAX_CANDIDATES)


def nms(detections: Detections, iou: float, limit: int) -> Detections:
    """Return the detections that no better one of their label overlaps by more than `iou`.

    Greedy non-maximum suppression per label, by OpenCV.

    Args:
        detections: In any order.
        iou: Intersection over union, 0..1, up to which two boxes both stay.
        limit: At most so many are returned, the best.

    Returns:
        The survivors, best score first.
    """
    if not len(detections):
        return detections
    # OpenCV sets labels apart by the largest coordinate: a negative one would reach into the next.
    corners = detections.boxes[:, :2].astype(np.float64) - detections.boxes.min()
    sides = detections.boxes[:, 2:].astype(np.float64) - detections.boxes[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        np.concatenate([corners, sides], axis=1).tolist(),
        detections.scores.tolist(),
        detections.labels.tolist(),
        -1.0,  # every score has been checked; OpenCV would leave out those equal to a threshold
        iou,
    )
    chosen = np.asarray(kept, np.intp).reshape(-1)
    best_first = np.argsort(-detections.scores[chosen], kind="stable")
    return detections[chosen[best_first][:limit]]
