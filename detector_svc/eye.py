"""One model and all it takes to ask it about a frame: the way in, the call, the way out."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector_svc.crops import Image
from detector_svc.letterbox import Fit, InputForm, fit
from detector_svc.yolo import Decoded, Detections, Head, nms
from secondlook.adapters.endpoint import Endpoint, Outputs
from secondlook.adapters.frames import FrameReader
from secondlook.config import Detector
from secondlook.errors import ConfigError
from secondlook.messages import FrameRef


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

    def read(self, outputs: Outputs, placed: Fit, min_score: float) -> tuple[Decoded, Detections]:
        """Return what the output said and, of it, the detections that count, in frame pixels.

        Raises:
            ModelError: The output has another shape than at the start.
        """
        decoded = self.head.decode(outputs, min_score=min_score)
        candidates = decoded.detections[self.wanted[decoded.detections.labels]]
        kept = nms(candidates, self.settings.nms_iou, self.settings.max_detections)
        return decoded, Detections(placed.to_frame(kept.boxes), kept.scores, kept.labels)
