"""Crops, verdicts and notes for tests of the review set."""

from typing import Any

import cv2
import numpy as np

from secondlook import samples, topics
from secondlook.messages import Crop, Verdict
from secondlook.review_set import Kept, Note

ULID = "01m80y6fxk8e5t7w9x0y1z2a3b"
(VERDICT,) = samples.SAMPLES[topics.VERDICTS.pattern]
CROP = next(m for m in samples.SAMPLES[topics.CROPS.pattern] if isinstance(m, Crop))
STARTED_NS = 1_795_328_000_000_000_000
SCORES = {"small_gun": 0.1, "big_gun": 0.1, "phone": 0.6, "umbrella": 0.1, "empty": 0.1}


def jpeg(seed: int = 0) -> bytes:
    """A picture of coarse noise: another seed is another difference hash."""
    tiny = np.random.default_rng(seed).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    image = cv2.resize(tiny, (90, 80), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".jpg", image)[1].tobytes()


def crop(number: int = 1, *, camera: str = "yard", track: str = "1", **more: Any) -> Crop:
    frame = CROP.frame.model_copy(
        update={"camera": camera, "captured_ns": STARTED_NS + number * 10**8}
    )
    fields = {
        "id": f"{camera}-{track}.{number}",
        "camera": camera,
        "track": f"{camera}-{track}",
        "frame": frame,
        "track_started_ns": STARTED_NS,
        "jpeg": jpeg(number),
    }
    return CROP.model_copy(update=fields | more)


def verdict(
    of: Crop, outcome: str = "rejected", label: str = "phone", episode: str | None = None
) -> Verdict:
    fields = {
        "id": of.id,
        "camera": of.camera,
        "track": of.track,
        "outcome": outcome,
        "label": label,
        "score": 0.6,
        "episode": episode,
        "classifier": VERDICT.classifier.model_copy(update={"scores": SCORES}),
    }
    return Verdict.model_validate(VERDICT.model_copy(update=fields).model_dump())


def note(number: int = 1, **more: Any) -> Note:
    """A note; `alert` may be the bare name of one."""
    made = crop(number, track=more.pop("track", "1"))
    said = verdict(made, more.pop("outcome", "rejected"), more.pop("label", "phone"))
    fresh = Note.of(made, said, said.label, None, more.pop("hash", number * 0x0101010101010101))
    if "alert" in more:
        more["alert"] = f"yard-{ULID[:-1]}{more['alert']}"
    return Note.model_validate(fresh.model_copy(update=more).model_dump())


def kept(label: str, what: Note | None = None, *, at: int = 0, size: int = 1000) -> Kept:
    stem = f"yard-20261122t06__{what.id}" if what else f"put-{at}"
    return Kept(label, stem, size, at, what)
