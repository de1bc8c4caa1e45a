"""Asks a fused detector (`training/export.py`) with onnxruntime, without any service."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from training.points import Box, Detection

Image = npt.NDArray[np.uint8]
"""(height, width, 3) BGR."""
_IOU = 0.45
_GREY = 114


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Return a model on the processor, with so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


class FusedDetector:
    """A fused detector in this process."""

    def __init__(self, path: Path, labels: Sequence[str], threads: int = 1) -> None:
        self._session = session(path, threads)
        self._labels = tuple(labels)
        _, self._height, self._width, _ = self._session.get_inputs()[0].shape

    def detect(self, frame: Image, min_score: float) -> list[Detection]:
        """Return what scores at least `min_score` after non-maximum suppression per label.

        Boxes are in pixels of the frame, not cut off at its edges.
        """
        height, width = frame.shape[:2]
        scale = min(self._width / width, self._height / height)
        across, down = max(round(width * scale), 1), max(round(height * scale), 1)
        left, top = (self._width - across) // 2, (self._height - down) // 2
        canvas = np.full((self._height, self._width, 3), _GREY, np.uint8)
        small = cv2.resize(frame, (across, down), interpolation=cv2.INTER_LINEAR)
        canvas[top : top + down, left : left + across] = small[..., ::-1]
        names = ["boxes", "scores", "labels"]
        boxes, scores, labels = (
            answer[0] for answer in self._session.run(names, {"images": canvas[None]})
        )
        kept = scores >= min_score
        scale_back = (across / width, down / height) * 2
        corners = (boxes[kept] - (left, top, left, top)) / scale_back
        sides = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        best, labelled = scores[kept], labels[kept]
        chosen = cv2.dnn.NMSBoxesBatched(
            sides.tolist(), best.tolist(), labelled.tolist(), min_score, _IOU
        )
        return [
            Detection(_box(corners[i]), float(best[i]), self._labels[int(labelled[i])])
            for i in np.asarray(chosen, int).reshape(-1)
        ]


def _box(corners: npt.NDArray[np.floating]) -> Box:
    left, top, right, bottom = (float(value) for value in corners)
    return left, top, right, bottom
