"""The pair of models that the project began with, through nothing but configuration.

The demo's weights are put behind the seed's tensors (FP32, one picture a call, raw rows, BGR)
and its `config.pbtxt` says not a word about what they mean; the demo must come out the same.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import onnx
import pytest

from training.export import as_seed, unfuse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
DETECTOR = """
backend: "python"
max_batch_size: 1
input [ { name: "images" data_type: TYPE_FP32 dims: [ 3, 640, 640 ] } ]
output [ { name: "output" data_type: TYPE_FP32 dims: [ 25200, 6 ] } ]
parameters { key: "threads" value: { string_value: "2" } }
"""
CLASSIFIER = """
backend: "python"
max_batch_size: 1
input [ { name: "input_1" data_type: TYPE_FP32 dims: [ 224, 224, 3 ] } ]
output [ { name: "pred" data_type: TYPE_FP32 dims: [ 5 ] } ]
"""
DETECTOR_IS = (
    "detector.parameters={labels: [suspect], output: yolov5, channels: rgb, value_range: 0..1,"
    " resize: letterbox, interpolation: linear}"
)
CLASSIFIER_IS = (
    "classifier.parameters={labels: [small_gun, big_gun, phone, umbrella, empty],"
    " output: probabilities, channels: bgr, value_range: 0..255, resize: stretch,"
    " interpolation: cubic, fallback_label: empty, fallback_below: 0.7}"
)
PARTS: tuple[tuple[str, Literal["detector", "classifier"], str], ...] = (
    ("yolov5", "detector", DETECTOR),
    ("efficientnet_b0", "classifier", CLASSIFIER),
)


@pytest.fixture
def seed_models(tmp_path: Path) -> Path:
    for name, kind, config in PARTS:
        shipped = ROOT / "model_repository" / name / "1"
        version = tmp_path / "models" / name / "1"
        version.mkdir(parents=True)
        onnx.save(as_seed(unfuse(onnx.load(shipped / "model.onnx")), kind), version / "model.onnx")
        shutil.copy(shipped / "model.py", version)
        (version.parent / "config.pbtxt").write_text(config)
    return tmp_path / "models"


def test_the_seeds_own_models_raise_the_same_alerts(seed_models: Path) -> None:
    settings = [
        argument for setting in (DETECTOR_IS, CLASSIFIER_IS) for argument in ("--set", setting)
    ]
    result = subprocess.run(
        [sys.executable, "-m", "secondlook.cli", "demo", "--models", str(seed_models), *settings],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "Every expected alert came, and no other." in said
