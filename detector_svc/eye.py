"""One model and all it takes to ask it about a frame: the way in, the call, the way out."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector_svc.crops import Image
from detector_svc.letterbox import Fit, InputForm, fit
from detector_svc.yolo import MAX_CANDIDATES, Detections, Head, nms
from secondlook.adapters.endpoint import Endpoint, Outputs
from secondlook.adapters.frames import FrameReader
from secondlook.config import Detector
from secondlook.errors import ConfigError
from secondlook.messages import FrameRef


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model said about one frame."""

    detections: Detections
    """Those that count, best first, in frame pixels."""
    invalid: int
    """Broken rows of the output."""
    limit_reached: bool
    """Some candidates were lost before NMS."""
    shed: int
    """Detections beyond `max_detections`."""


@dataclass(frozen=True, slots=True)
class Eye:
    """A served detector with its reader of frames."""

    endpoint: Endpoint
    frames: FrameReader
    settings: Detector
    form: InputForm
    head: Head
    wanted: NDArray[np.bool_]
    """For each label of the model whether it is looked for."""

    @classmethod
    def of(cls, endpoint: Endpoint, frames: FrameReader, settings: Detector) -> Self:
        """Return the eye for a served model.

        Raises:
            ModelMismatch: The model cannot be read.
            ConfigError: `detector.labels` names a label that the model does not have.
        """
        head = Head.of(endpoint.spec)
        chosen = head.labels if settings.labels is None else settings.labels
        unknown = sorted(set(chosen) - set(head.labels))
        if unknown:
            raise ConfigError(
                f"detector.labels: {', '.join(unknown)} is not among the labels of model "
                f"{endpoint.spec.name!r}: {', '.join(head.labels)}"
            )
        wanted = np.array([label in chosen for label in head.labels], bool)
        return cls(endpoint, frames, settings, InputForm.of(endpoint.spec), head, wanted)

    def fit(self, ref: FrameRef, out: NDArray[Any]) -> tuple[Image, Fit]:
        """Write a frame into the model's input; return its pixels and where they lie.

        Raises:
            FrameExpired: It is gone.
            ValueError: It cannot be fitted.
        """
        image = self.frames.read(ref)
        return image, fit(image, self.form, out)

    def read(self, outputs: Outputs, row: int, placed: Fit, min_score: float) -> Reading:
        """Return what a row of the output says about a frame that was placed like this.

        Raises:
            ModelError: The output has another shape than at the start.
        """
        decoded = self.head.decode(outputs, row=row, min_score=min_score)
        candidates = decoded.detections[self.wanted[decoded.detections.labels]]
        found = nms(candidates, self.settings.nms_iou, MAX_CANDIDATES)
        kept = found[: self.settings.max_detections]
        return Reading(
            Detections(placed.to_frame(kept.boxes), kept.scores, kept.labels),
            decoded.invalid,
            decoded.limit_reached,
            len(found) - len(kept),
        )
