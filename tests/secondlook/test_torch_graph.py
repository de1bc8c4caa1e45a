"""An ONNX graph in PyTorch says what it says in ONNX Runtime."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it takes gigabytes")
onnx = pytest.importorskip("onnx", reason="the extra `models` is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra `models` is not installed")

REPOSITORY = Path(__file__).parents[2] / "model_repository"


@pytest.fixture(scope="module")
def torch_graph():
    # As the Python backend does it: a model's own folder is on the path.
    folder = str(REPOSITORY / "yolov5" / "1")
    sys.path.append(folder)
    yield importlib.import_module("torch_graph")
    sys.path.remove(folder)


def in_runtime(path: Path, pictures: np.ndarray) -> dict[str, np.ndarray]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": pictures}), strict=True))


def noise(count: int, side: int) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 5e-3)])
@pytest.mark.parametrize(("name", "side"), [("yolov5", 640), ("efficientnet_b0", 224)])
def test_the_shipped_models_give_the_same_scores(
    torch_graph, name, side, precision, tolerance
) -> None:
    path, pictures = REPOSITORY / name / "1" / "model.onnx", noise(2, side)
    graph = torch_graph.Graph(path, torch.device("cpu"), half=precision == "fp16")

    ours = {n: t.numpy() for n, t in graph({"images": torch.from_numpy(pictures)}).items()}

    theirs = in_runtime(path, pictures)
    assert {n: (a.shape, a.dtype) for n, a in ours.items()} == {
        n: (a.shape, a.dtype) for n, a in theirs.items()
    }
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=tolerance)


def test_boxes_are_the_same_in_single_precision(torch_graph) -> None:
    path, pictures = REPOSITORY / "yolov5" / "1" / "model.onnx", noise(1, 640)
    graph = torch_graph.Graph(path, torch.device("cpu"), half=False)

    ours = graph({"images": torch.from_numpy(pictures)})

    theirs = in_runtime(path, pictures)
    # Candidates of equal score may change places.
    best = slice(0, 50)
    for box in theirs["boxes"][0, best]:
        assert np.abs(ours["boxes"][0].numpy() - box).max(axis=1).min() < 0.01
    np.testing.assert_array_equal(ours["count"].numpy(), theirs["count"])


def test_an_unknown_operation_is_named(torch_graph, tmp_path) -> None:
    helper = onnx.helper
    tensor = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1])
    answer = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1])
    node = helper.make_node("Erf", ["images"], ["scores"])
    graph = helper.make_graph([node], "one", [tensor], [answer])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")

    with pytest.raises(NotImplementedError, match="operation Erf"):
        torch_graph.Graph(tmp_path / "model.onnx", torch.device("cpu"), half=False)
