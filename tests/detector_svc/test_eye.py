"""A model's answer about one frame, down to what counts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detector_svc.eye import Eye
from detector_svc.letterbox import place
from secondlook.config import Detector
from secondlook.errors import ConfigError, FrameExpired
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor
from tests.detector_svc.messages_of import frame

SPEC = ModelSpec(
    "yolov5",
    "1",
    Tensor("images", "UINT8", (64, 64, 3)),
    (Tensor("boxes", "FP32", (3, 4)),),
    8,
    ModelParameters(
        labels=("gun", "cup"),
        output="fused",
        channels="rgb",
        value_range="0..255",
        resize="letterbox",
    ),
)
PLACED = place(64, 128, 64, 64)


class Store:
    """Has one picture, or none."""

    def __init__(self, image=None):
        self.image = image

    def read(self, ref):
        if self.image is None:
            raise FrameExpired("gone")
        return self.image


def eye(store=None, **settings):
    endpoint: Any = SimpleNamespace(spec=SPEC)
    frames: Any = store or Store()
    return Eye.of(endpoint, frames, Detector(**settings))


def answer(*rows):
    """Return a fused answer of rows x, score, label."""
    n = len(rows)
    return {
        "boxes": np.array([[(x, 20, x + 5, 30) for x, _, _ in rows]], np.float32),
        "scores": np.array([[score for _, score, _ in rows]], np.float32),
        "labels": np.array([[label for _, _, label in rows]], np.int32),
        "count": np.array([[n]], np.int32),
    }


def test_boxes_come_back_in_frame_pixels():
    reading = eye().read(answer((10, 0.9, 0)), 0, PLACED, 0.25)

    assert reading.detections.boxes.tolist() == [[20, 8, 30, 28]]


def test_only_the_wanted_labels_count():
    reading = eye(labels=["cup"]).read(answer((10, 0.9, 0), (30, 0.8, 1)), 0, PLACED, 0.25)

    assert reading.detections.labels.tolist() == [1]


def test_an_unwanted_label_hides_no_wanted_one():
    reading = eye(labels=["cup"], max_detections=1).read(
        answer((10, 0.9, 0), (10, 0.8, 1)), 0, PLACED, 0.25
    )

    assert reading.detections.labels.tolist() == [1]
    assert reading.shed == 0


def test_what_is_beyond_the_limit_is_counted():
    reading = eye(max_detections=1).read(answer((10, 0.9, 0), (30, 0.8, 0)), 0, PLACED, 0.25)

    assert reading.detections.scores == pytest.approx([0.9])
    assert reading.shed == 1


def test_what_is_no_number_is_counted():
    reading = eye().read(answer((np.nan, 0.9, 0), (30, 0.8, 0)), 0, PLACED, 0.25)

    assert (len(reading.detections), reading.invalid) == (1, 1)


def test_a_label_that_the_model_does_not_have_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match=r"detector\.labels: knife is not among .*: gun, cup"):
        eye(labels=["gun", "knife"])


def test_a_frame_is_fitted_straight_into_the_input():
    image = np.full((480, 640, 3), 7, np.uint8)
    out = np.zeros((64, 64, 3), np.uint8)

    pixels, placed = eye(Store(image)).fit(frame(), out)

    assert pixels is image
    assert (placed.top, placed.height) == (8, 48)
    assert set(np.unique(out)) == {7, 114}


def test_an_expired_frame_is_said_to_be_expired():
    with pytest.raises(FrameExpired):
        eye().fit(frame(), np.zeros((64, 64, 3), np.uint8))
