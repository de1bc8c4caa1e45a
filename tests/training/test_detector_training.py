"""The detector's whole way in a small size. Its tools are gigabytes: `make test-training`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from training.environment import MADE, VARIABLE, TrainingError, interpreter, make
from training.fused import FusedDetector
from training.operating_point import loaded

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.training, pytest.mark.timeout(3600)]


@pytest.fixture(scope="session")
def python() -> Path:
    """An interpreter with the tool: the named one, or one that is made, which is announced."""
    try:
        return interpreter("yolov5")
    except TrainingError:
        if VARIABLE in os.environ:
            raise
        return make(MADE)


def run(*arguments: object, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=ROOT, env={**os.environ, **variables},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_one_epoch_on_drawn_scenes_gives_a_model_that_serves(python, tmp_path) -> None:
    run("training.cards.generate", "--out", tmp_path / "cards", "--scenes", 48, "--seed", 3)
    out = tmp_path / "run"
    said = run(
        "training.detector", "train", "--data", tmp_path / "cards/data.yaml", "--out", out,
        "--one-label", "thing", "--epochs", 1, "--batch", 4, "--side", 320, "--workers", 2,
        "--device", "cpu", **{VARIABLE: str(python)},
    )  # fmt: skip
    assert "train: 46 images" in said
    assert "[5 of 5] operating point" in said

    assert (out / "labels.txt").read_text() == "thing\n"
    report = json.loads((out / "operating_point.json").read_text())
    assert report["min_score"] == min(point["min_score"] for point in report["curve"])
    picture = loaded(next((out / "data/images/val").iterdir()))
    for found in FusedDetector(out / "model.onnx", ["thing"]).detect(picture, 0.0001):
        assert found.label == "thing"
        assert 0 <= found.score <= 1

    again = run("training.detector", "train", "--data", tmp_path / "cards/data.yaml", "--out", out,
                "--one-label", "thing", "--side", 320, "--resume",
                **{VARIABLE: str(python)})  # fmt: skip
    assert again.count("done before") == 5
