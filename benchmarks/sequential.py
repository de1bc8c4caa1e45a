"""The single loop that this project began with, as the measure of what the pipeline is worth.

    python -m benchmarks.sequential --every 1

One frame after the other, one picture a call: letterbox, FP32 tensors inside the gRPC request, the
raw output of 25200 rows, non-maximum suppression in numpy, each detection classified by a call of
its own, the result drawn and written as JPEG, then the next frame. The same weights as the
pipeline's, behind the same Triton, put behind FP32 tensors; pictures as in `benchmarks.feeding`,
ready in memory, so that no capture is measured.
"""

import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import click
import cv2
import numpy as np
import onnx
import tritonclient.grpc as triton
from numpy.typing import NDArray

from benchmarks.feeding import Image, pictures
from benchmarks.machine import ROOT, this_machine
from secondlook.local import tritonserver
from training.export import as_seed, unfuse

SIDE = 640
CUT = 224
GREY = 114
MIN_SCORE, MAX_IOU = 0.25, 0.45
WARM_UP = 5
READY_S = 90.0
MODELS: dict[str, tuple[Literal["detector", "classifier"], str]] = {
    "yolov5": (
        "detector",
        (
            'input [ { name: "images" data_type: TYPE_FP32 dims: [ 3, 640, 640 ] } ]\n'
            'output [ { name: "output" data_type: TYPE_FP32 dims: [ 25200, 6 ] } ]\n'
        ),
    ),
    "efficientnet_b0": (
        "classifier",
        (
            'input [ { name: "input_1" data_type: TYPE_FP32 dims: [ 224, 224, 3 ] } ]\n'
            'output [ { name: "pred" data_type: TYPE_FP32 dims: [ 5 ] } ]\n'
        ),
    ),
}
PLATFORMS = {
    "python": 'backend: "python"\nparameters { key: "threads" value: { string_value: "auto" } }\n',
    "torch": 'backend: "python"\ndefault_model_filename: "model_torch.py"\n',
}


@dataclass
class Loop:
    """What one run gave."""

    every: int
    seconds: float = 0.0
    frames: int = 0
    detections: int = 0
    stage_s: dict[str, float] = field(default_factory=dict)

    @property
    def frames_per_s(self) -> float:
        """Frames that went through the loop, per second."""
        return self.frames / self.seconds


def write_models(folder: Path) -> Path:
    """Write the pair with the tensors it once had; return the repository."""
    for name, (kind, tensors) in MODELS.items():
        shipped = ROOT / "model_repository" / name / "1"
        version = folder / name / "1"
        version.mkdir(parents=True)
        model = as_seed(unfuse(onnx.load(shipped / "model.onnx")), kind)
        onnx.save(model, version / "model.onnx")
        for runner in shipped.glob("*.py"):
            shutil.copy(runner, version)
        (version.parent / "configs").mkdir()
        for platform, backend in PLATFORMS.items():
            text = f"{backend}max_batch_size: 1\n{tensors}"
            (version.parent / "configs" / f"{platform}.pbtxt").write_text(text)
    return folder


class Models:
    """The two models behind Triton, a picture a call."""

    def __init__(self, url: str) -> None:
        self._client = triton.InferenceServerClient(url)
        until = time.monotonic() + READY_S
        while not all(self._client.is_model_ready(name) for name in MODELS):
            if time.monotonic() > until:
                raise TimeoutError("the models are not ready")
            time.sleep(0.2)

    def _ask(self, model: str, tensor: str, pixels: NDArray[np.float32], output: str) -> Any:  # noqa: ANN401 - an array
        given = triton.InferInput(tensor, [1, *pixels.shape], "FP32")
        given.set_data_from_numpy(pixels[None])
        return self._client.infer(model, [given]).as_numpy(output)[0]

    def rows(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the detector's raw output, (25200, 6)."""
        return np.asarray(self._ask("yolov5", "images", pixels, "output"))

    def scores(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the classifier's scores, (5,)."""
        return np.asarray(self._ask("efficientnet_b0", "input_1", pixels, "pred"))


def letterboxed(image: Image) -> tuple[NDArray[np.float32], float, float, float]:
    """Return the detector's input, the scale, and the padding at the left and the top."""
    height, width = image.shape[:2]
    scale = min(SIDE / width, SIDE / height)
    across, down = round(width * scale), round(height * scale)
    left, top = (SIDE - across) // 2, (SIDE - down) // 2
    small = cv2.resize(image, (across, down), interpolation=cv2.INTER_LINEAR)
    canvas = cv2.copyMakeBorder(
        small,
        *(top, SIDE - down - top, left, SIDE - across - left),
        cv2.BORDER_CONSTANT,
        value=(GREY,) * 3,
    )
    pixels = canvas[:, :, ::-1].transpose(2, 0, 1)
    return np.ascontiguousarray(pixels, np.float32) / np.float32(255), scale, left, top


def suppressed(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 5): corners and score of what non-maximum suppression leaves, in numpy."""
    scores = rows[:, 4] * rows[:, 5:].max(axis=1)
    chosen = rows[scores > MIN_SCORE]
    kept_scores = scores[scores > MIN_SCORE]
    half = chosen[:, 2:4] / 2
    boxes = np.hstack([chosen[:, :2] - half, chosen[:, :2] + half])
    order, kept = kept_scores.argsort()[::-1], []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        corners = np.maximum(boxes[best, :2], boxes[order, :2])
        ends = np.minimum(boxes[best, 2:], boxes[order, 2:])
        both = (ends - corners).clip(0).prod(axis=1)
        areas = (boxes[order, 2:] - boxes[order, :2]).prod(axis=1)
        area = (boxes[best, 2:] - boxes[best, :2]).prod()
        order = order[both / (areas + area - both) <= MAX_IOU]
    return np.hstack([boxes[kept], kept_scores[kept, None]])


def loop(models: Models, frames: Iterator[Image], seconds: float, every: int) -> Loop:
    """Run the loop for some seconds."""
    found = Loop(every, stage_s=dict.fromkeys(("prepare", "detect", "nms", "classify", "write"), 0))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            image = next(frames)
            pixels, scale, left, top = letterboxed(image)
            now = _took(found, "prepare", now)
            rows = models.rows(pixels)
            now = _took(found, "detect", now)
            boxes = suppressed(rows)
            now = _took(found, "nms", now)
            drawn = image.copy()
            for box in boxes:
                corners = ((box[:4] - (left, top, left, top)) / scale).round().astype(int)
                x1, y1, x2, y2 = (int(v) for v in corners.clip(0))
                cut = cv2.resize(image[y1:y2, x1:x2], (CUT, CUT), interpolation=cv2.INTER_CUBIC)
                scores = models.scores(np.asarray(cut, np.float32))
                cv2.rectangle(drawn, (x1, y1), (x2, y2), (0, 0, 255), 2)
                said = f"{scores.argmax()} {scores.max():.2f}"
                cv2.putText(drawn, said, (x1, y1), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 255), 2)
            now = _took(found, "classify", now)
            if len(boxes):
                cv2.imwrite(f"{folder}/{found.frames % 100}.jpg", drawn)
            _took(found, "write", now)
            found.frames += 1
            found.detections += len(boxes)
        found.seconds = time.perf_counter() - began
    return found


def _took(found: Loop, stage: str, since: float) -> float:
    now = time.perf_counter()
    found.stage_s[stage] += now - since
    return now


def measure(seconds: float, every: int, size: str, platform: str = "python") -> Loop:
    """Run the loop against a Triton of its own."""
    width, height = map(int, size.split("x"))
    shown = pictures(width, height)
    home = tritonserver.install(lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        repository = write_models(Path(folder) / "models")
        log = Path(folder) / "triton.log"
        with tritonserver.Server(home, repository, log, config_name=platform) as server:
            models = Models(server.url)
            frames = (shown.of(number, every) for number in itertools.count())
            for _ in range(WARM_UP):
                loop(models, frames, 0.01, every)
            return loop(models, frames, seconds, every)


@click.command()
@click.option("--size", default="1920x1080", show_default=True, help="WIDTHxHEIGHT of a frame.")
@click.option("--every", default=1, show_default=True, help="A gun in every so many; 0: none.")
@click.option("--seconds", default=20.0, show_default=True)
@click.option("--platform", default="python", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(*, size: str, every: int, seconds: float, platform: str, json_path: Path | None) -> None:
    """Measure the single loop."""
    found = measure(seconds, every, size, platform)
    stages = ", ".join(f"{n} {1000 * s / found.frames:.1f}" for n, s in found.stage_s.items())
    seen = f"a gun in every {every}. frame" if every else "no gun"
    print(f"sequential, {size}, {seen}: {found.frames_per_s:.2f} frames/s, {found.detections} "
          f"detections in {found.frames} frames; milliseconds: {stages}")  # fmt: skip
    print(this_machine())
    if json_path:
        json_path.write_text(json.dumps(asdict(found), indent=1) + "\n")
    sys.exit(0 if found.frames else 1)


if __name__ == "__main__":
    main()
