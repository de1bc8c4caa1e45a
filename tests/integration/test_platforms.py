"""The configurations for other platforms, as far as a Triton with its Python backend judges them.

It reads each strictly (no key completed by itself) and then asks for a backend that it lacks. What
ONNX Runtime, TensorRT and TensorFlow make of our files only NVIDIA's images can show.
"""

import re
import shutil
import time
from pathlib import Path

import pytest

from secondlook.adapters.triton import Triton
from secondlook.local.tritonserver import Server, TritonHome

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[2] / "model_repository"
MODELS = ("yolov5", "efficientnet_b0")
LACKING = {
    "onnx": ("backend 'onnxruntime'", MODELS),
    "tensorrt": ("backend 'tensorrt'", MODELS),
    "tensorflow": ("backend 'tensorflow'", ("efficientnet_b0",)),
}
SERVED_HERE = (
    (r'backend: "(onnxruntime|tensorrt)"', 'backend: "python"'),
    (r'default_model_filename: "[^"]*"', 'default_model_filename: "model.py"'),
    ("KIND_GPU", "KIND_CPU"),
)
"""What is exchanged, so that the rest of a configuration is served here."""


@pytest.mark.parametrize("platform", LACKING)
def test_nothing_but_a_backend_is_missing(
    triton_home: TritonHome, tmp_path: Path, platform: str
) -> None:
    backend, models = LACKING[platform]
    log = tmp_path / "log.txt"
    with Server(triton_home, REPOSITORY, log, config_name=platform):
        said = refused(log, len(models))
    assert set(said) == set(models)
    assert all(backend in why for why in said.values()), said


def refused(log: Path, number: int) -> dict[str, str]:
    """Wait until so many models are not served; return why by name."""
    deadline = time.monotonic() + 60
    while True:
        found = re.findall(r"failed to load '(\w+)' version 1: (.*)", log.read_text())
        if len(dict(found)) >= number or time.monotonic() > deadline:
            return dict(found)
        time.sleep(0.2)


@pytest.mark.parametrize("platform", ["onnx", "tensorrt"])
async def test_all_else_of_a_configuration_is_served_as_by_default(
    triton_home: TritonHome, tmp_path: Path, platform: str
) -> None:
    exchanged = tmp_path / "models"
    shutil.copytree(REPOSITORY, exchanged)
    for model in MODELS:
        config = exchanged / model / "configs" / f"{platform}.pbtxt"
        text = config.read_text()
        for pattern, instead in SERVED_HERE:
            text = re.sub(pattern, instead, text)
        config.write_text(text)
    with (
        Server(triton_home, exchanged, tmp_path / "log.txt", config_name=platform) as other,
        Server(triton_home, REPOSITORY, tmp_path / "default.txt") as default,
    ):
        async with (
            Triton(other.url, deadline_s=10.0) as one,
            Triton(default.url, deadline_s=10.0) as two,
        ):
            for model in MODELS:
                assert (await one.model(model)).spec == (await two.model(model)).spec
