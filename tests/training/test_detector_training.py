"""The detector's whole way in a small size. Its tools are gigabytes: `make test-training`."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")
import onnx

from training.environment import VARIABLE
from training.fused import FusedDetector
from training.operating_point import loaded
from training.recognise import recognise

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.training, pytest.mark.timeout(3600)]


def run(*arguments: object, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=ROOT, env={**os.environ, **variables},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def cards(tmp_path_factory) -> Path:
    folder = Path(tmp_path_factory.mktemp("cards"))
    run("training.cards.generate", "--out", folder, "--scenes", 48, "--seed", 3)
    return folder


@pytest.mark.parametrize(("tool", "form"), [("yolov5", "yolov5"), ("ultralytics", "yolov8")])
def test_one_epoch_on_drawn_scenes_gives_a_model_that_serves(
    python, cards, tmp_path, tool, form
) -> None:
    out = tmp_path / "run"
    chosen = ("--data", cards / "data.yaml", "--out", out, "--tool", tool, "--one-label", "thing",
              "--side", 320)  # fmt: skip
    said = run(
        "training.detector", "train", *chosen, "--epochs", 1, "--batch", 4, "--workers", 2,
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

    again = run("training.detector", "train", *chosen, "--resume", **{VARIABLE: str(python)})
    assert again.count("done before") == 5

    (raw,) = (out / "train/weights").glob("*.onnx")
    assert recognise(onnx.load(raw), labels=["thing"]).form == form
    add_command = next(line for line in said.splitlines() if line.startswith("serve it: "))
    words = shlex.split(add_command.removeprefix("serve it: secondlook "))
    run("secondlook.cli", *words, "--repository", tmp_path / "models")
    assert (tmp_path / "models/my_detector/1/model.onnx").exists()
