"""The kit's two commands in a small size, on the processor. Gigabytes: `make test-training`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="the extra `training` is not installed")

import onnx

from training.environment import VARIABLE

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.training, pytest.mark.timeout(3600)]


def kit(interpreter: object, *arguments: object, tools: Path) -> str:
    done = subprocess.run(
        [str(interpreter), "-m", "training.kit", *map(str, arguments)], cwd=ROOT,
        env={**os.environ, VARIABLE: str(tools)}, capture_output=True, text=True, timeout=3000,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_two_commands_make_both_models_and_a_third_call_goes_on(python, tmp_path) -> None:
    common = ("--out", tmp_path, "--device", "cpu", "--scenes", 48, "--batch", 8)
    # The tool's interpreter has no TensorFlow: what needs it is left for the other.
    said = kit(python, "detector", *common, "--epochs", 1, "--held-out", 8, "--minutes", 50,
               tools=python)  # fmt: skip
    assert "[8 of 8] operating point" in said
    fused = onnx.load(tmp_path / "detector/model.onnx")
    assert [value.name for value in fused.graph.output] == ["boxes", "scores", "labels", "count"]

    second = ("classifier", *common, "--negatives", 60, "--plain", "--minutes", 4)
    said = kit(python, *second, tools=python)
    assert "[8 of 10] train" in said
    assert "give the same command there" in said

    said = kit(sys.executable, *second, tools=python)
    assert said.count("done before") == 8
    assert (tmp_path / "classifier/metrics.json").exists()
    fused = onnx.load(tmp_path / "classifier/model.onnx")
    assert [value.name for value in fused.graph.output] == ["scores"]
