"""Does the detector find what the reference implementation of YOLOv5 finds?

Runs COCO weights behind the embedded Triton, as exported (raw) and with the input conversion and
the best-score selection fused into the graph, over real images, and compares with detections that
YOLOv5's own code made of the same weights. Then compares the raw and the fused form with each
other, candidate by candidate. Prints the figures; exits 1 if a target is missed.

    python benchmarks/parity.py

The weights, images and references are shared test data: `../shared/data` beside the repository,
or wherever SECONDLOOK_SHARED_DATA says.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from detector_svc.eye import Eye
from detector_svc.letterbox import fit
from detector_svc.yolo import Detections
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.triton import Triton
from secondlook.config import Detector
from secondlook.local import tritonserver
from training.agreement import BOX_PX, SCORE, Agreement
from training.export import fuse_detector

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("SECONDLOOK_SHARED_DATA", ROOT.parent / "shared" / "data"))
WEIGHTS = DATA / "yolov5n_coco"
SETS = {
    "reference_val.json": DATA / "coco" / "val" / "images",
    "reference_1080p.json": DATA / "frames_1080p",
}
VARIANTS = ("raw", "fused")

COUNTS_FROM = 0.3
"""Score from which a reference must be matched, and from which a find of ours must have one."""
REFERENCE_FROM = 0.25
"""Score from which references are listed, and from which the detector is asked."""
SAME_IOU, SAME_SCORE = 0.95, 0.01
MATCHED_TARGET, EXTRA_TARGET = 0.99, 0.01

RAW_CONFIG = """
backend: "python"
max_batch_size: 4
input [ { name: "images" data_type: TYPE_FP32 dims: [ 3, 640, 640 ] } ]
output [ { name: "output0" data_type: TYPE_FP32 dims: [ 25200, 85 ] } ]
parameters { key: "output" value: { string_value: "yolov5" } }
parameters { key: "value_range" value: { string_value: "0..1" } }
"""
FUSED_CONFIG = """
backend: "python"
max_batch_size: 4
input [ { name: "images" data_type: TYPE_UINT8 dims: [ 640, 640, 3 ] } ]
output [
  { name: "boxes" data_type: TYPE_FP32 dims: [ 1000, 4 ] },
  { name: "scores" data_type: TYPE_FP32 dims: [ 1000 ] },
  { name: "labels" data_type: TYPE_INT32 dims: [ 1000 ] },
  { name: "count" data_type: TYPE_INT32 dims: [ 1 ] }
]
parameters { key: "output" value: { string_value: "fused" } }
parameters { key: "value_range" value: { string_value: "0..255" } }
"""
COMMON_CONFIG = """
parameters {{ key: "channels" value: {{ string_value: "rgb" }} }}
parameters {{ key: "resize" value: {{ string_value: "letterbox" }} }}
parameters {{ key: "labels" value: {{ string_value: "{labels}" }} }}
parameters {{ key: "threads" value: {{ string_value: "2" }} }}
"""


@dataclass(slots=True)
class Figures:
    """How far our detections and the reference's are the same."""

    references: int = 0
    matched: int = 0
    ours: int = 0
    extra: int = 0

    def add(self, reference: NDArray[np.float64], ours: Detections) -> None:
        """Count one picture; `reference` has the rows x1, y1, x2, y2, score, label."""
        overlap = iou(reference[:, :4], ours.boxes)
        same_label = reference[:, 5, None] == ours.labels
        near = same_label & (overlap >= SAME_IOU)
        same = near & (np.abs(reference[:, 4, None] - ours.scores) <= SAME_SCORE)
        must = reference[:, 4] >= COUNTS_FROM
        counts = ours.scores >= COUNTS_FROM
        self.references += int(must.sum())
        self.matched += int(same.any(axis=1)[must].sum())
        self.ours += int(counts.sum())
        self.extra += int((~near.any(axis=0))[counts].sum())

    @property
    def matched_part(self) -> float:
        """Part of the references that were found."""
        return self.matched / max(1, self.references)

    @property
    def extra_part(self) -> float:
        """Part of our detections that no reference backs."""
        return self.extra / max(1, self.ours)

    @property
    def good(self) -> bool:
        """Whether both targets are met."""
        return self.matched_part >= MATCHED_TARGET and self.extra_part <= EXTRA_TARGET


def iou(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Return the intersection over union of each of `a` (n, 4) with each of `b` (m, 4)."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.clip(sides, 0, None).prod(axis=2)
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - both
    result: NDArray[np.float64] = both / np.maximum(union, 1e-9)
    return result


def build_repository(repository: Path) -> None:
    """Write a model repository with both variants of the weights."""
    labels = ",".join((WEIGHTS / "labels.txt").read_text().split("\n")[:80])
    for name, config in zip(VARIANTS, (RAW_CONFIG, FUSED_CONFIG), strict=True):
        version = repository / name / "1"
        version.mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(
            config + COMMON_CONFIG.format(labels=labels)
        )
        shutil.copy(ROOT / "model_repository" / "yolov5" / "1" / "model.py", version)
    shutil.copy(WEIGHTS / "model.onnx", repository / "raw" / "1" / "model.onnx")
    fused = fuse_detector(onnx.load(WEIGHTS / "model.onnx"), "yolov5")
    onnx.save(fused, repository / "fused" / "1" / "model.onnx")


Candidates = dict[tuple[str, str], Detections]
"""By set and picture: what a variant answered before NMS, best first, in canvas pixels."""


async def candidates(url: str, variant: str) -> Candidates:
    """Return everything that one variant answers for every picture of every set."""
    found = {}
    async with Triton(url, deadline_s=30.0) as triton:
        endpoint = await triton.model(variant, answers="boxes", batch=1)
        eye = Eye.of(endpoint, FrameReader(ROOT), Detector())
        for reference, images in SETS.items():
            for name in json.loads((WEIGHTS / reference).read_text())["images"]:
                image = np.asarray(cv2.imread(str(images / name)), np.uint8)
                async with endpoint.slot() as slot:
                    fit(image, eye.form, slot.images[0])
                    outputs = await endpoint.infer(slot, 1)
                found[reference, name] = eye.head.decode(outputs, min_score=0.0).detections
    return found


def compare(raw: Candidates, fused: Candidates) -> dict[str, Agreement]:
    """Return by set how far the two forms of the same weights agree."""
    agreements = {reference: Agreement() for reference in SETS}
    for (reference, name), original in raw.items():
        agreements[reference].add_boxes(original, fused[reference, name])
    return agreements


async def measure(url: str, variant: str) -> dict[str, Figures]:
    """Run every image of every set through one variant; return the figures by reference file."""
    figures = {}
    async with Triton(url, deadline_s=30.0) as triton:
        endpoint = await triton.model(variant, answers="boxes", batch=1)
        await endpoint.check()
        eye = Eye.of(endpoint, FrameReader(ROOT), Detector())
        for reference, images in SETS.items():
            figures[reference] = Figures()
            known = json.loads((WEIGHTS / reference).read_text())["images"]
            for name, entry in known.items():
                image = np.asarray(cv2.imread(str(images / name)), np.uint8)
                async with endpoint.slot() as slot:
                    placed = fit(image, eye.form, slot.images[0])
                    outputs = await endpoint.infer(slot, 1)
                ours = eye.read(outputs, 0, placed, REFERENCE_FROM).detections
                rows = np.array(entry["detections"], np.float64).reshape(-1, 6)
                figures[reference].add(rows, ours)
    return figures


def main() -> int:
    """Measure and print; return the exit status."""
    if not WEIGHTS.is_dir():
        print(f"no shared test data at {DATA}; set SECONDLOOK_SHARED_DATA", file=sys.stderr)
        return 2
    home = tritonserver.install(print)
    all_good = True
    print(f"{'variant':8} {'reference':22} {'matched':>16} {'extra':>14}")
    with tempfile.TemporaryDirectory(prefix="secondlook-parity-") as folder:
        build_repository(Path(folder) / "models")
        log = Path(folder) / "triton.log"
        with tritonserver.Server(home, Path(folder) / "models", log) as server:
            for variant in VARIANTS:
                for reference, found in asyncio.run(measure(server.url, variant)).items():
                    all_good = all_good and found.good
                    print(
                        f"{variant:8} {reference:22} "
                        f"{found.matched:4}/{found.references:<4}{found.matched_part:7.1%} "
                        f"{found.extra:4}/{found.ours:<4}{found.extra_part:5.1%}"
                        f"{'' if found.good else '  MISSED'}"
                    )
            raw, fused = (asyncio.run(candidates(server.url, variant)) for variant in VARIANTS)
    for reference, agreement in compare(raw, fused).items():
        all_good = all_good and agreement.good
        print(
            f"raw and fused, {reference}: {agreement.compared} candidates of "
            f"{agreement.pictures} pictures: largest differences {agreement.box_px:.4f} px, "
            f"score {agreement.score:.6f}{'' if agreement.good else '  MISSED'}"
        )
    print(
        f"targets: raw and fused within {BOX_PX} px and {SCORE} of each other; "
        f"matched >= {MATCHED_TARGET:.0%} (same label, IoU >= {SAME_IOU}, score within "
        f"{SAME_SCORE}), extra <= {EXTRA_TARGET:.0%}"
    )
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
