"""What the classifier keeps is what its training reads."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from secondlook.adapters.review_folder import ReviewFolder
from secondlook.review_set import ALERTS, UNSORTED, stem_of
from tests.secondlook.review_notes import crop, jpeg, note
from training.crops import labels_in, read
from training.splits import recording_of

HOUR_NS = 3600 * 10**9


def test_a_review_set_is_read_as_class_folders_and_what_is_unsorted_is_left_out(
    tmp_path: Path,
) -> None:
    folder = ReviewFolder(tmp_path / "review")
    for number, label in enumerate(("phone", "phone", "empty", UNSORTED, ALERTS), start=1):
        folder.add(label, stem_of(crop(number)), jpeg(number), note(number))

    labels = labels_in(folder.path)
    crops = read(folder.path, labels, 32)

    assert labels == ("phone", "empty")
    assert crops.truth.tolist() == [0, 0, 1]
    kept = cv2.imdecode(np.frombuffer(jpeg(1), np.uint8), cv2.IMREAD_COLOR)
    assert kept is not None
    # Red first, as the model takes it.
    off = crops.images[0].mean(axis=(0, 1)) - kept.mean(axis=(0, 1))[::-1]
    assert np.abs(off).max() < 5


def test_an_hour_of_a_camera_is_one_recording() -> None:
    began = crop(1).track_started_ns
    names = [
        f"{stem_of(one)}.jpg"
        for one in (
            crop(1, track="1"),
            crop(2, track="2"),
            crop(3, track_started_ns=began + HOUR_NS),
            crop(4, camera="back__door"),
        )
    ]
    assert [recording_of(name) for name in names] == [
        "yard-20261122t06", "yard-20261122t06", "yard-20261122t07", "back_door-20261122t06"
    ]  # fmt: skip
