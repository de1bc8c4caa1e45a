"""Where a fuzzer begins: one good input of each kind, made from the project's own samples."""

import struct
from collections.abc import Iterator

import cv2
import numpy as np

from secondlook import topics
from secondlook.samples import FRAME, SAMPLES

LEVELS = {
    "camera": "front_door",
    "label": "small_gun",
    "service": "detector",
    "client": "phone",
    "kind": "crop",
    "key": "test_alert",
}
CONFIG = """\
cameras:
  porch: &porch
    source: !env SECONDLOOK_FUZZ_SECRET
    fps: 2.5
    zones: {door: [[0.1, 0.3], [0.6, 0.3], [0.6, 1.0]]}
    motion: {enabled: yes, threshold: 20}
  yard:
    <<: *porch
    source: rtsp://user:s3cret-of-the-fuzzer@camera/1
    password: !file secret
mqtt: {host: broker, port: 8883, username: a, password: !env SECONDLOOK_FUZZ_SECRET, tls: {}}
alerts: {labels: [small_gun], confirm_score: {small_gun: 0.7}, k: 2, n: 3}
timezone: Europe/Berlin
"""


def seeds(target: str) -> Iterator[bytes]:
    """Yield the seeds of a target."""
    yield from {
        "messages": _messages,
        "config": _configs,
        "stores": _stores,
        "model_outputs": _outputs,
        "pictures": _pictures,
    }[target]()


def _messages() -> Iterator[bytes]:
    for topic in topics.ALL:
        path = topic.pattern.format(**LEVELS)
        for sample in SAMPLES[topic.pattern]:
            yield f"secondlook/{path}\n".encode() + topic.encode(sample)


def _configs() -> Iterator[bytes]:
    yield CONFIG.encode()
    yield b"cameras: {a: {source: 'synthetic:'}}\n"
    yield b"cameras: {a: {source: 'file:a.mp4?loop=1'}, A: {fps: 0}}\nnope: [1, {2: 3}]\n"


def _stores() -> Iterator[bytes]:
    small = FRAME.model_copy(update={"width": 4, "height": 2})
    for kind in ("file", "sparse", "folder", "link", "pipe", "nothing"):
        yield small.encode() + f"\n{kind} x\n".encode() + bytes(range(24))
    yield FRAME.encode() + b"\nsparse x\n"
    yield b"{}\nspool 01795328000000000000-00000000.json\nhello"
    yield b"{}\nspool 01795328000000000000-00000000.part\nhello"


def _outputs() -> Iterator[bytes]:
    row = struct.pack("<9f", 100, 90, 40, 30, 0.9, 0.8, 0.1, float("nan"), float("inf"))
    half = np.array([60, 50, 20, 10, 0.9, 0.8, -0.0, np.nan, np.inf], "<f2").tobytes()
    for kind in range(3):
        head = bytes([1, 2, kind, 6, 0, 60, 110, 4, 56, 7, 128, 255, 255])
        yield head + bytes([0]) + row
        yield head + bytes([1]) + half
    for output in range(2):
        yield bytes([0, output, 1, 3, 0, 0]) + struct.pack("<4f", 0.9, 0.05, 0.03, 0.02)
        yield bytes([0, output, 0, 3, 0, 0]) + struct.pack("<4f", float("nan"), 1e38, -1e38, 0)


def _pictures() -> Iterator[bytes]:
    image = np.zeros((16, 24, 3), np.uint8)
    image[4:9, 6:15] = 200
    for flags in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]):
        yield cv2.imencode(".jpg", image, flags)[1].tobytes()
    yield cv2.imencode(".jpg", image[:, :, 0])[1].tobytes()
