"""What is fuzzed: one small function per target, which takes bytes and must find all well.

More than "no crash": each says what must hold for whatever comes in. Knows no fuzzer, so that
the corpus is replayed by an ordinary test.
"""

import contextlib
import json
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier_svc.pictures import MAX_PIXELS, read_crop
from classifier_svc.preprocess import decode as read_scores
from classifier_svc.verdict import judge
from detector_svc.crops import region_of, whole_box
from detector_svc.letterbox import place
from detector_svc.spool import Spool
from detector_svc.tracks import Tracker
from detector_svc.yolo import MAX_CANDIDATES, Detections, Head, nms
from secondlook import config_file, topics
from secondlook.adapters.frames import LOCK, FrameReader, sweep
from secondlook.config import Alerts, Config
from secondlook.errors import (
    ConfigError,
    FrameExpired,
    ModelError,
    ModelMismatch,
    Unreadable,
)
from secondlook.jpeg import comment_of, jpeg_size
from secondlook.messages import Crop, FrameRef, Replay
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

Target = Callable[[bytes], None]
SECRET = "s3cret-of-the-fuzzer"
SECRET_VARIABLE = "SECONDLOOK_FUZZ_SECRET"
NOW_NS = 1_795_328_000_000_000_000
SQLITE_LARGEST = 2**63 - 1


def _is_short(why: str) -> None:
    assert len(why) < 2000, "a reason must not carry the payload"


def _is_no_secret(text: str) -> None:
    assert SECRET not in text


def messages(data: bytes) -> None:
    """Decode a topic (the first line) and its payload (the rest).

    What cannot be read is `Unreadable`. What can be read is of the topic's camera, has times
    that a calendar and a database can hold, and says the same when it is written and read again.
    """
    path, _, payload = data.partition(b"\n")
    found = topics.which("secondlook", path.decode(errors="replace"))
    if found is None:
        return
    topic, levels = found
    assert all(topics.LEVEL.fullmatch(level) for level in levels.values())
    try:
        message = topic.decode(payload, levels)
    except Unreadable as unreadable:
        _is_short(str(unreadable))
        return
    if "camera" in levels:
        assert getattr(message, "camera", levels["camera"]) == levels["camera"]
    if isinstance(message, FrameRef):
        assert message.captured_at.year >= 1970
    if isinstance(message, Crop):
        assert message.frame.captured_at.year >= 1970
        assert 0 <= message.box.overlap(message.region) <= 1
    if isinstance(message, Replay):
        assert 0 <= message.since_ns <= SQLITE_LARGEST
    said = topic.encode(message)
    assert topic.encode(topic.decode(said[: topic.max_bytes], levels)) == said


def config(data: bytes) -> None:
    """Read a configuration file.

    It is a whole configuration or a `ConfigError`, and neither shows a secret.
    """
    os.environ[SECRET_VARIABLE] = SECRET
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(data)
        (Path(folder) / "secret").write_text(SECRET)
        try:
            read = config_file.load(path)
        except ConfigError as mistakes:
            _is_no_secret(str(mistakes))
            return
    assert isinstance(read, Config)
    assert read.cameras
    for name, camera in read.cameras.items():
        assert topics.LEVEL.fullmatch(name)
        assert camera.source.get_secret_value() not in repr(camera.source)
    for secret in (read.mqtt.password, *(camera.password for camera in read.cameras.values())):
        shown = repr(secret) + str(secret)
        assert secret is None or len(secret.get_secret_value()) < 4 or "***" in shown


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # In memory: it is emptied after every input.
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - private below
    path = Path(tempfile.mkdtemp(prefix="secondlook-fuzz-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def stores(data: bytes) -> None:
    """Read a file of the frame store or the spool: a FrameRef, `kind name`, and what lies there.

    A frame is exactly the bytes of its file or `FrameExpired`; the spool gives back only what
    it has put; nothing but files that look like ours is removed.
    """
    first, _, rest = data.partition(b"\n")
    second, _, content = rest.partition(b"\n")
    kind, _, name = second.decode(errors="replace").partition(" ")
    with contextlib.suppress(Unreadable), _folder() as folder:
        if kind == "spool":
            _spool(folder, name, content)
        else:
            _frame(folder, FrameRef.decode(first), kind, content)


def _frame(folder: Path, ref: FrameRef, kind: str, content: bytes) -> None:
    camera = folder / ref.camera
    camera.mkdir()
    path = camera / f"{ref.id}.bgr"
    match kind:
        case "file":
            path.write_bytes(content)
        case "sparse":
            path.touch()
            os.truncate(path, min(ref.size_bytes, 1 << 30))
        case "folder":
            path.mkdir()
        case "link":
            (camera / "elsewhere").write_bytes(content)
            path.symlink_to(camera / "elsewhere")
        case "pipe":
            os.mkfifo(path)
    try:
        image = FrameReader(folder).read(ref)
    except FrameExpired:
        assert kind != "file" or len(content) != ref.size_bytes
    else:
        assert kind in ("file", "sparse")
        assert image.shape == (ref.height, ref.width, 3)
        assert not image.flags.writeable
        assert kind == "sparse" or image.tobytes() == content
    (camera / LOCK).touch()
    (camera / "not-ours.txt").touch()
    sweep(folder)
    assert (camera / "not-ours.txt").exists()


def _spool(folder: Path, name: str, content: bytes) -> None:
    short = name.replace("\0", "").replace("/", "").encode()[:200]
    safe = short.decode(errors="ignore") or "empty"
    (folder / "front_door").mkdir()
    names = {
        safe if safe not in (".", "..") else "dots",
        f"{NOW_NS:020d}-{zlib.crc32(content):08x}.json",
    }
    for each in names:
        (folder / "front_door" / each).write_bytes(content)
    spool = Spool(folder, max_bytes=1000, hold_s=300, now_ns=lambda: NOW_NS, steady_s=lambda: 0)
    assert 0 <= spool.size_bytes <= 1000
    for camera in spool.cameras():
        for entry in spool.after(camera, 0, 10):
            payload = spool.read(entry)
            assert payload is None or payload == content
    assert spool.size_bytes >= 0


@dataclass(slots=True)
class Choices:
    """Takes decisions from the front of an input, and numbers from what is left of it."""

    data: bytes
    at: int = 0

    def byte(self, below: int = 256) -> int:
        """Return a number from 0 up to `below`."""
        self.at += 1
        return self.data[self.at - 1] % below if self.at <= len(self.data) else 0

    def size(self) -> int:
        """Return 1..16384."""
        return (self.byte() << 8 | self.byte()) % 16_384 + 1

    def array(self, *shape: int) -> NDArray[Any]:
        """Return an array of any type, its bytes from here on, again and again."""
        types: list[Any] = ["<f4", "<f2", "<f8", "<i4", "u1", "<i8", "?"]
        dtype = np.dtype(types[self.byte(len(types))])
        wanted = max(1, math.prod(shape)) * dtype.itemsize
        rest = self.data[self.at :] or b"\0"
        raw = (rest * (wanted // len(rest) + 1))[:wanted]
        if dtype == np.bool_:
            raw = bytes(value & 1 for value in raw)
        return np.frombuffer(raw, dtype)[: math.prod(shape)].reshape(shape)


def model_outputs(data: bytes) -> None:
    """Take whatever numbers for a model's answer, through to tracks and verdicts.

    What passes is finite, within the frame, sorted, and of the model's labels.
    """
    choose = Choices(data)
    if choose.byte(4) == 0:
        _classifier(choose)
    else:
        _detector(choose)


def _detector(choose: Choices) -> None:
    labels = tuple(f"label{number}" for number in range(1 + choose.byte(4)))
    kinds = ("yolov5", "yolov8", "fused")
    kind, rows, wrong = kinds[choose.byte(3)], choose.byte(48), choose.byte(16)
    min_score, iou = choose.byte() / 255, choose.byte() / 255
    height, width = choose.size(), choose.size()
    canvas = (32 + choose.byte(), 32 + choose.byte())
    head = Head(kind, labels, canvas, "output0")  # type: ignore[arg-type]  # one of its kinds
    placed = place(height, width, *canvas)
    tracker = Tracker("front_door", "1", lost_after_ns=10**9)
    columns = {"yolov5": 5, "yolov8": 4}.get(kind, 4) + len(labels) + (wrong == 1)
    for frame in range(2):
        if kind == "fused":
            outputs = {
                "boxes": choose.array(1, rows, 4 + (wrong == 1)),
                "scores": choose.array(1, rows),
                "labels": choose.array(1, rows + (wrong == 2)),
                "count": choose.array(1, 1),
            }
        else:
            shape = (1, rows, columns) if kind == "yolov5" else (1, columns, rows)
            outputs = {"output0": choose.array(*shape[: 2 if wrong == 3 else 3])}
        try:
            decoded = head.decode(outputs, min_score=min_score)
        except ModelError:
            continue
        _check_detections(decoded.detections, labels, min_score)
        assert 0 <= decoded.invalid <= rows
        found = nms(decoded.detections, iou, MAX_CANDIDATES)
        _check_detections(found, labels, min_score)
        assert len(found) <= len(decoded.detections)
        boxes = placed.to_frame(found.boxes)
        assert np.isfinite(boxes).all()
        assert ((boxes >= 0) & (boxes <= [width, height, width, height])).all()
        for box in boxes.tolist():
            whole = whole_box(box, width, height)
            if whole is not None:
                region = region_of(whole, 0.15, width, height)
                assert region.x2 <= width
                assert region.y2 <= height
        on_frame = Detections(boxes, found.scores, found.labels)
        step = tracker.advance("run", frame * 10**8, NOW_NS, on_frame)
        assert len(step.sightings) == len(found)
        assert len({track.id for track in step.sightings}) == len(found)
        for track in step.sightings:
            assert np.isfinite(track.predicted(10**9)).all()


def _check_detections(found: Detections, labels: tuple[str, ...], min_score: float) -> None:
    assert np.isfinite(found.boxes).all()
    assert (found.boxes[:, :2] <= found.boxes[:, 2:]).all()
    assert ((found.scores >= np.float32(min_score)) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.labels >= 0) & (found.labels < len(labels))).all()


def _classifier(choose: Choices) -> None:
    labels = ("small_gun", "big_gun", "phone", "empty")
    output = ("probabilities", "logits")[choose.byte(2)]
    fallback = {"fallback_label": "empty", "fallback_below": 0.5} if choose.byte(2) else {}
    parameters = ModelParameters.model_validate({"labels": labels, "output": output} | fallback)
    picture, answer = Tensor("in", "UINT8", (8, 8, 3)), Tensor("out", "FP32", (len(labels),))
    spec = ModelSpec("model", "1", picture, (answer,), 8, parameters)
    rows, wrong = choose.byte(8), choose.byte(16)
    shape = (rows, len(labels) + (wrong == 1), 1)[: 3 if wrong == 2 else 2]
    try:
        answers = read_scores(choose.array(*shape), spec)
    except ModelMismatch:
        assert wrong in (1, 2)
        return
    assert len(answers) == rows
    for scores in answers:
        if scores is not None:
            assert all(0 <= score <= 1 for score in scores.values())
        verdict = judge(scores, Alerts(), parameters)
        assert 0 <= verdict.score <= 1
        assert verdict.label in labels
        assert verdict.outcome != "confirmed" or verdict.label in Alerts().labels
        json.dumps(verdict.score, allow_nan=False)


def pictures(data: bytes) -> None:
    """Read a crop's JPEG: a picture of the size that its header states, or `Unreadable`."""
    comment_of(data)
    try:
        width, height = jpeg_size(data)
        image = read_crop(data)
    except Unreadable:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert width * height <= MAX_PIXELS


TARGETS: dict[str, Target] = {
    "messages": messages,
    "config": config,
    "stores": stores,
    "model_outputs": model_outputs,
    "pictures": pictures,
}
assert datetime.fromtimestamp(NOW_NS // 10**9, UTC).year == 2026
