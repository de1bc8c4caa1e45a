"""Messages for tests of the page: samples with what a test cares about changed."""

from datetime import timedelta
from typing import Any

import cv2
import numpy as np

from secondlook.jpeg import with_comment
from secondlook.messages import Alert, Blind, Counters, FrameRef, Stats, Verdict
from secondlook.page.fold import Fold
from secondlook.samples import ALERT, FRAME, SAMPLES, STARTED

CAMERA = "front_door"
NOW_S = STARTED.timestamp()
TODAY = "2026-11-22"


def alert(number: int = 0, *, camera: str = CAMERA, **changes: Any) -> Alert:
    """Return the message `new` of an episode, later ones with a higher number."""
    started = STARTED + timedelta(seconds=number)
    fields = ALERT.model_dump() | {
        "id": f"{camera}-{number:026d}",
        "camera": camera,
        "started_at": started,
        "updated_at": started,
        "snapshot_id": f"{camera}-{number:026d}.0",
    }
    return Alert.model_validate(fields | changes)


def frame(number: int, *, camera: str = CAMERA, **changes: Any) -> FrameRef:
    """Return a frame; they are a fifth of a second apart."""
    captured_ns = FRAME.captured_ns + number * 200_000_000
    fields = {"id": f"{camera}-{captured_ns}", "camera": camera, "captured_ns": captured_ns}
    return FrameRef.model_validate(FRAME.model_dump() | fields | changes)


def verdict(ref: FrameRef, number: int = 0, **changes: Any) -> Verdict:
    """Return a look at a frame."""
    sample: Verdict = SAMPLES["verdicts/{camera}"][0]
    track = f"{ref.camera}-track-{number}"
    facts = {"id": ref.id, "captured_at": ref.captured_at, "width": 1920, "height": 1080}
    fields = {"camera": ref.camera, "track": track, "id": f"{track}.1", "frame": facts}
    return Verdict.model_validate(sample.model_dump() | fields | changes)


def counters(**changes: Any) -> Counters:
    sample: Counters = SAMPLES["counters/{camera}"][0]
    return sample.model_copy(update=changes)


def blind(**changes: Any) -> Blind:
    sample: Blind = SAMPLES["blind/{camera}"][0]
    return sample.model_copy(update=changes)


def stats(service: str, at_s: float, **numbers: float) -> Stats:
    at = STARTED + timedelta(seconds=at_s)
    return Stats(service=service, version="1.2", at=at, counters=numbers)


def picture(snapshot_id: str, size: int = 0) -> bytes:
    """Return a JPEG that says which snapshot it is, with so many bytes more."""
    fine, jpeg = cv2.imencode(".jpg", np.full((36, 64, 3), 120, np.uint8))
    assert fine
    return with_comment(jpeg.tobytes(), snapshot_id) + b"x" * size


def watching(*cameras: str) -> Fold:
    """Return a fold to which everything has said that it is well."""
    fold = Fold(cameras or (CAMERA,), {"version": "1", "token": None}, NOW_S)
    fold.broker(connected=True, now_s=NOW_S)
    for service in ("producers", "detector", "triton", "classifier"):
        fold.service_status(service, online=True)
    for camera in cameras or (CAMERA,):
        fold.camera_status(camera, online=True)
    fold.tick(0.0, TODAY)
    return fold
