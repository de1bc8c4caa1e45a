"""A tiny training from drawn cards to a verdict: the commands a user gives, and a real Triton."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from classifier_svc.eye import Eye
from classifier_svc.metrics import Metrics
from classifier_svc.verdict import judge
from secondlook.adapters.triton import Triton
from secondlook.config import Alerts
from secondlook.local import tritonserver
from secondlook.local.tritonserver import Server
from tests.classifier_svc.test_inbox import crop

pytest.importorskip("tensorflow", reason="the extra `training` is not installed")
from benchmarks import classifier_parity

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

LABELS = "small_gun,big_gun,phone,umbrella,empty"
SIDE = 32


def command(*arguments: object) -> str:
    """Run a module of the training, as a user would; return what it printed."""
    argv = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    command("training.cards.generate", "--out", folder, "--scenes", 60, "--seed", 3)
    return Path(folder) / "crops" / "train"


@pytest.fixture(scope="module")
def run(crops: Path) -> Path:
    out = crops.parents[1] / "run"
    command("training.classifier", "train", "--crops", crops, "--out", out, "--labels", LABELS,
            "--alerting", "small_gun,big_gun", "--side", SIDE, "--batch", 32,
            "--epochs", 1)  # fmt: skip
    command("training.classifier", "export", "--out", out, "--crops", crops)
    return out


@pytest.fixture(scope="module")
def server(run: Path, triton_home, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    for form in ("fused", "onnx"):
        classifier_parity.add(folder / "models", run, form)
    with Server(triton_home, folder / "models", folder / "triton.log") as running:
        yield running


def test_a_training_says_what_it_did_with_what_and_how_well(run: Path) -> None:
    config, metrics, environment = (
        json.loads((run / f"{name}.json").read_text())
        for name in ("config", "metrics", "environment")
    )

    assert ",".join(config["labels"]) == LABELS
    assert config["epochs"] == 1
    for side in ("train", "judge_crops"):
        assert sum(label["crops"] for label in config[side].values()) > 0
    assert {row["phase"] for row in metrics["history"]} == {"all"}
    assert metrics["crops"] > 0
    assert 0.3 <= metrics["temperature"] <= 4.0
    assert np.array(metrics["confusion"]).sum() == metrics["crops"]
    assert {"keras", "numpy"} <= set(environment["versions"])
    assert environment["backend"] == "tensorflow"


def test_the_exported_labels_stand_in_the_order_of_the_scores(run: Path) -> None:
    assert (run / "labels.txt").read_text().split() == LABELS.split(",")


def test_keras_and_onnx_give_the_same_scores_of_real_crops(run: Path) -> None:
    images, scores = classifier_parity.proof(run)

    assert images.shape == (20, SIDE, SIDE, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert classifier_parity.off_in_onnxruntime(run) <= 1e-4


@pytest.mark.parametrize("form", ["fused", "onnx"])
async def test_keras_and_triton_give_the_same_scores(server: Server, run: Path, form: str) -> None:
    assert await classifier_parity.off_when_served(server.url, form, run) <= 1e-4


async def test_a_crop_gets_a_verdict_from_what_was_just_trained(
    server: Server, run: Path, crops: Path
) -> None:
    drawn = cv2.imread(str(next((crops / "umbrella").glob("*.jpg"))))
    assert drawn is not None
    # As large as the region that `crop` says it was cut out of: others are refused.
    jpeg = cv2.imencode(".jpg", cv2.resize(drawn, (100, 100)))[1].tobytes()
    alerts = Alerts()
    async with Triton(server.url, deadline_s=30.0) as triton:
        endpoint = await triton.model("fused", answers="labels")
        eye = Eye(endpoint, alerts, Metrics(CollectorRegistry()), 2.0)
        (scores,) = await eye.look([crop(0.0, jpeg=jpeg)])

    assert isinstance(scores, dict)
    judgement = judge(scores, alerts, endpoint.spec.parameters)
    assert judgement.outcome in {"confirmed", "rejected", "uncertain"}
    assert judgement.score == max(scores.values())
    # What the service saw is what training would have seen of the same file.
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)[..., ::-1]
    session = __import__("onnxruntime").InferenceSession(str(run / "classifier.onnx"))
    (expected,) = session.run(["scores"], {"images": small[None].astype(np.float32)})
    np.testing.assert_allclose(list(scores.values()), expected[0], atol=1e-4)


def cached_tensorflow() -> tritonserver.TritonHome:
    home = tritonserver.find(tensorflow=True)
    if home is None:
        pytest.skip("Triton with TensorFlow (400 MB) is not installed; make test-all installs it")
    return home


def installed_tensorflow() -> tritonserver.TritonHome:
    return tritonserver.install(lambda _: None, tensorflow=True)


@pytest.mark.parametrize(
    "home",
    [
        pytest.param(cached_tensorflow, id="where-it-is-installed"),
        pytest.param(installed_tensorflow, id="installed-for-it", marks=pytest.mark.long),
    ],
)
async def test_triton_serves_the_saved_model_itself(
    run: Path, tmp_path: Path, home: Callable[[], tritonserver.TritonHome]
) -> None:
    classifier_parity.add(tmp_path / "models", run, "saved_model")
    assert tritonserver.needs_tensorflow(tmp_path / "models")
    server = Server(home(), tmp_path / "models", tmp_path / "triton.log")
    server.start(wait_s=300.0)
    try:
        assert await classifier_parity.off_when_served(server.url, "saved_model", run) <= 1e-4
    finally:
        server.stop()


async def test_without_tensorflow_a_saved_model_says_what_it_needs(
    run: Path, tmp_path: Path, triton_home
) -> None:
    classifier_parity.add(tmp_path / "models", run, "saved_model")
    with Server(triton_home, tmp_path / "models", tmp_path / "triton.log"):
        pass
    assert (
        "needs tensorflow, which the server's Python does not have"
        in (tmp_path / "triton.log").read_text()
    )
