"""The seed's own pair of models, served as its author served it, through nothing but parameters.

The pair is made of the demo weights: the same networks behind the seed's tensors.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from classifier_svc import preprocess
from detector_svc import letterbox
from detector_svc.yolo import Decoded, Head
from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.triton import Triton
from secondlook.errors import ModelMismatch
from secondlook.local.tritonserver import Server, TritonHome
from secondlook.model_spec import ModelParameters
from tests.integration.triton_fixtures import RUNNER
from training.export import as_seed, unfuse

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2] / "model_repository"
PAIR: Mapping[str, Literal["detector", "classifier"]] = {
    "yolov5": "detector",
    "efficientnet_b0": "classifier",
}
LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
DETECTOR = ModelParameters(
    labels=("suspect",),
    output="yolov5",
    channels="rgb",
    value_range="0..1",
    resize="letterbox",
)
CLASSIFIER = ModelParameters(
    labels=LABELS,
    output="probabilities",
    channels="bgr",
    value_range="0..255",
    resize="stretch",
    interpolation="cubic",
    fallback_label="empty",
    fallback_below=0.7,
)
# As its author wrote them: tensors, `max_batch_size: 1`, and not a word about what they mean.
CONFIGS = {
    "seed_yolov5": """
        backend: "python"
        max_batch_size: 1
        input [ { name: "images" data_type: TYPE_FP32 dims: [ 3, 640, 640 ] } ]
        output [ { name: "output" data_type: TYPE_FP32 dims: [ 25200, 6 ] } ]
    """,
    "seed_efficientnet_b0": """
        backend: "python"
        max_batch_size: 1
        input [ { name: "input_1" data_type: TYPE_FP32 dims: [ 224, 224, 3 ] } ]
        output [ { name: "pred" data_type: TYPE_FP32 dims: [ 5 ] } ]
    """,
}


@pytest.fixture(scope="module")
def server(triton_home: TritonHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with the shipped pair and, beside it, the same as the seed's."""
    folder = tmp_path_factory.mktemp("seed")
    for shipped, kind in PAIR.items():
        fused = REPOSITORY / shipped / "1" / "model.onnx"
        version = folder / "models" / f"seed_{shipped}" / "1"
        version.mkdir(parents=True)
        onnx.save(as_seed(unfuse(onnx.load(fused)), kind), version / "model.onnx")
        shutil.copy(RUNNER, version / "model.py")
        (version.parent / "config.pbtxt").write_text(CONFIGS[f"seed_{shipped}"])
    with Server(
        triton_home, REPOSITORY, folder / "log.txt", extra_repositories=[folder / "models"]
    ) as server:
        yield server


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """Draw a few things for the models to have an opinion on, 720 x 960, BGR."""
    random = np.random.default_rng(3)
    image = np.full((720, 960, 3), (180, 190, 200), np.uint8)
    for _ in range(40):
        (x, y), size = random.integers(0, (900, 660)).tolist(), int(random.integers(20, 200))
        colour = random.integers(0, 256, 3).tolist()
        cv2.rectangle(image, (x, y), (x + size, y + size // 2), colour, -1)
        cv2.circle(image, (y, x), size // 3, colour[::-1], 5)
    return image


async def find(endpoint: Endpoint, picture: NDArray[np.uint8]) -> Decoded:
    async with endpoint.slot() as slot:
        letterbox.fit(picture, letterbox.InputForm.of(endpoint.spec), slot.images[0])
        outputs = await endpoint.infer(slot, 1)
    return Head.of(endpoint.spec).decode(outputs, min_score=1e-4)


async def judge(endpoint: Endpoint, crop: NDArray[np.uint8]) -> NDArray[Any]:
    async with endpoint.slot() as slot:
        preprocess.fit(crop, endpoint.spec, slot.images[0])
        outputs = await endpoint.infer(slot, 1)
    scores: NDArray[Any] = next(iter(outputs.values()))[0]
    return scores


async def test_the_seeds_detector_finds_what_the_fused_one_finds(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    async with Triton(server.url, deadline_s=30) as triton:
        seed = await triton.model("seed_yolov5", overrides=DETECTOR, answers="boxes")
        fused = await triton.model("yolov5", answers="boxes")
        for endpoint in (seed, fused):
            await endpoint.check()

        raw, best = await find(seed, picture), await find(fused, picture)

    assert seed.spec.max_batch_size == 1
    assert (seed.spec.input.shape, seed.spec.outputs[0].shape) == ((3, 640, 640), (25200, 6))
    assert (raw.invalid, best.invalid) == (0, 0)
    count = min(50, len(best.detections))
    assert count > 0
    np.testing.assert_allclose(
        raw.detections.scores[:count], best.detections.scores[:count], atol=1e-4
    )
    # Scores that are equal but for rounding may change places, boxes and all.
    for box in best.detections.boxes[:count]:
        nearest = np.abs(raw.detections.boxes[: 2 * count] - box).max(axis=1).min()
        assert nearest < 0.5


async def test_the_seeds_classifier_judges_as_the_fused_one_does(
    server: Server, picture: NDArray[np.uint8]
) -> None:
    crop = np.ascontiguousarray(picture[100:324, 300:524])
    async with Triton(server.url, deadline_s=30) as triton:
        seed = await triton.model("seed_efficientnet_b0", overrides=CLASSIFIER, answers="labels")
        fused = await triton.model("efficientnet_b0", answers="labels")
        for endpoint in (seed, fused):
            await endpoint.check()

        same = await judge(seed, crop), await judge(fused, crop)
        mirrored = await judge(seed, np.ascontiguousarray(crop[..., ::-1]))

    assert seed.spec.max_batch_size == 1
    assert seed.spec.input.shape == (224, 224, 3)
    # The crop has the model's size, so that the two ways of resizing do not differ.
    np.testing.assert_allclose(*same, atol=1e-3)
    assert same[0].sum() == pytest.approx(1, abs=1e-3)
    assert np.abs(mirrored - same[0]).max() > 1e-3


async def test_the_seeds_models_say_what_they_lack(server: Server) -> None:
    async with Triton(server.url, deadline_s=30) as triton:
        for shipped in PAIR:
            with pytest.raises(ModelMismatch, match="nothing says its labels, output, channels"):
                await triton.model(f"seed_{shipped}")
