"""One's own pair of models, from the exported files to answers of a real Triton, by the commands.

The exports are the networks of the shipped pair, taken out of their fused graphs: the detector as
YOLOv5 exports it, the classifier once as ONNX and once, where TensorFlow is installed, as a Keras
file of its own.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from classifier_svc import preprocess
from detector_svc import letterbox
from detector_svc.yolo import Detections, Head
from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.triton import Triton
from secondlook.local.tritonserver import Server, TritonHome
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor
from training.agreement import Agreement
from training.export import unfuse
from training.trial_pictures import cutouts, pictures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
DETECTOR = ModelSpec(
    "raw",
    "1",
    Tensor("images", "FP32", (3, 640, 640)),
    (Tensor("output", "FP32", (25200, 6)),),
    1,
    ModelParameters(
        labels=("suspect",),
        output="yolov5",
        channels="rgb",
        value_range="0..1",
        resize="letterbox",
        layout="nchw",
    ),
)
CLASSIFIER = ModelSpec(
    "raw",
    "1",
    Tensor("images", "FP32", (224, 224, 3)),
    (Tensor("output", "FP32", (5,)),),
    1,
    ModelParameters(
        labels=LABELS, output="probabilities", channels="rgb", value_range="0..255",
        resize="stretch", layout="nhwc",
    ),
)  # fmt: skip


def secondlook(*arguments: str, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would."""
    argv = [sys.executable, "-m", "secondlook.cli", "model", *arguments]
    return subprocess.run(
        [*argv, "--repository", str(repository)],
        env=os.environ | {"COLUMNS": "200"},
        cwd=repository.parent, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


def raw_answer(path: Path, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = [value.name for value in session.get_inputs()]
    (output,) = [value.name for value in session.get_outputs()]
    return {output: session.run(None, {name: pixels})[0]}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the raw exports that a user would have."""
    folder = tmp_path_factory.mktemp("exports")
    for name in ("yolov5", "efficientnet_b0"):
        fused = onnx.load(ROOT / "model_repository" / name / "1" / "model.onnx")
        onnx.save(unfuse(fused), folder / f"{name}.onnx")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return folder


@pytest.fixture(scope="module")
def repository(exports: Path) -> Path:
    """Add both to a repository that is not there yet."""
    repository = exports / "models"
    for arguments in (
        ("add", str(exports / "yolov5.onnx"), "--name", "doors", "--labels", "suspect"),
        (
            *("add", str(exports / "efficientnet_b0.onnx"), "--name", "things"),
            *("--labels", str(exports / "labels.txt"), "--value-range", "0..255"),
        ),
    ):
        done = secondlook(*arguments, repository=repository)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "fused and original agree on" in done.stdout
        assert f"  model: {arguments[3]}" in done.stdout
    return repository


@pytest.fixture(scope="module")
def server(
    triton_home: TritonHome, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("triton") / "log.txt"
    with Server(triton_home, repository, log) as server:
        yield server


async def served(endpoint: Endpoint, picture: NDArray[np.uint8]) -> Detections:
    async with endpoint.slot() as slot:
        letterbox.fit(picture, letterbox.InputForm.of(endpoint.spec), slot.images[0])
        outputs = await endpoint.infer(slot, 1)
    return Head.of(endpoint.spec).decode(outputs, min_score=0.0).detections


async def test_the_added_detector_finds_what_the_export_finds(
    server: Server, exports: Path
) -> None:
    agreement = Agreement()
    form = letterbox.InputForm.of(DETECTOR)
    async with Triton(server.url, deadline_s=30) as triton:
        endpoint = await triton.model("doors", answers="boxes")
        await endpoint.check()
        for picture in pictures(count=18)[::3]:
            pixels = np.empty((1, 3, 640, 640), np.float32)
            letterbox.fit(picture, form, pixels[0])
            raw = raw_answer(exports / "yolov5.onnx", pixels)
            expected = Head.of(DETECTOR).decode(raw, min_score=0.0).detections
            agreement.add_boxes(expected, await served(endpoint, picture))

    assert endpoint.spec.max_batch_size > 1
    assert agreement.pictures == 6
    assert agreement.good, agreement


async def test_the_added_classifier_judges_as_the_export_does(
    server: Server, exports: Path
) -> None:
    agreement, best = Agreement(), set()
    async with Triton(server.url, deadline_s=30) as triton:
        endpoint = await triton.model("things", answers="labels")
        await endpoint.check()
        for piece in cutouts(pictures(count=18)[::3]):
            pixels = np.empty((1, 224, 224, 3), np.float32)
            preprocess.fit(piece, CLASSIFIER, pixels[0])
            (expected,) = raw_answer(exports / "efficientnet_b0.onnx", pixels)["output"]
            async with endpoint.slot() as slot:
                preprocess.fit(piece, endpoint.spec, slot.images[0])
                outputs = await endpoint.infer(slot, 1)
            agreement.add_scores(expected, outputs["scores"][0])
            best.add(int(expected.argmax()))

    assert agreement.good, agreement
    assert agreement.compared == 12


def test_the_added_models_are_listed_checked_and_served(repository: Path) -> None:
    listed = secondlook("list", repository=repository)
    checked = secondlook("check", "--serve", repository=repository)

    assert "doors: suspect; for onnx python torch; licence: not stated" in listed.stdout
    assert "things: small_gun, big_gun, phone, umbrella, empty" in listed.stdout
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name in ("doors", "things"):
        assert f"{name}: its weights answer a known picture" in checked.stdout
        assert f"{name}: served by Triton, and it answers as it should" in checked.stdout


def test_a_refusal_is_one_sentence_and_leaves_the_repository_as_it_was(
    repository: Path, exports: Path
) -> None:
    before = sorted(path.name for path in repository.iterdir())

    done = secondlook(
        "add", str(exports / "yolov5.onnx"), "--name", "more", "--labels", "a,b",
        repository=repository,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "secondlook: --labels a,b names 2 labels, but the model answers 1" in done.stderr
    assert sorted(path.name for path in repository.iterdir()) == before


def test_a_removed_model_is_gone(repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "models"
    copy.mkdir()
    (copy / "doors").mkdir()
    (copy / "doors" / "config.pbtxt").write_text((repository / "doors/config.pbtxt").read_text())

    done = secondlook("remove", "doors", "--yes", repository=copy)

    assert done.returncode == 0, done.stderr
    assert list(copy.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("tf2onnx") is None,
    reason="TensorFlow and tf2onnx are not installed (the extra `training`)",
)
@pytest.mark.parametrize(
    # A Keras file goes by way of a SavedModel, so that the second shows little more.
    "ending",
    [".keras", pytest.param("_saved_model", marks=pytest.mark.long)],
)
@pytest.mark.timeout(600)
def test_a_keras_model_with_its_own_normalization_is_taken(tmp_path: Path, ending: str) -> None:
    make = """
import sys, keras
keras.utils.set_random_seed(3)
model = keras.Sequential([
    keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255),
    keras.layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.1, 0.1]),
    keras.layers.Conv2D(8, 5, strides=4, activation="relu"),
    keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax"),
])
path = sys.argv[1]
model.save(path) if path.endswith(".keras") else model.export(path, verbose=False)
"""
    file = tmp_path / f"own{ending}"
    env = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", make, str(file)], env=env, check=True, timeout=200)

    done = secondlook(
        "add", str(file), "--name", "own", "--labels", "gun,phone,empty",
        "--value-range", "0..255", repository=tmp_path / "models",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SavedModel and ONNX agree on 48 pictures" in done.stdout
    folder = tmp_path / "models" / "own"
    assert (folder / "1" / "model.savedmodel" / "saved_model.pb").is_file()
    assert "TYPE_FP32 dims: [ 32, 32, 3 ]" in (folder / "configs" / "tensorflow.pbtxt").read_text()
    checked = secondlook("check", "own", repository=tmp_path / "models")
    assert checked.returncode == 0, checked.stdout + checked.stderr
