"""A model repository that finds a gun in every picture: for tests of the stack, not of models.

The detector always answers with one box, the classifier with a sure small_gun, so the first
looks at any source become an alert.
"""

from pathlib import Path

MODEL = """
import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb.get_input_tensor_by_name(r, "images").as_numpy()) for r in requests]

    def answer(self, images):
        n = len(images)
        outputs = {outputs}
        return pb.InferenceResponse([pb.Tensor(name, value) for name, value in outputs.items()])
"""
BOXES = """{
            "boxes": np.tile(np.array([[[200, 200, 320, 320]]], np.float32), (n, 1, 1)),
            "scores": np.full((n, 1), 0.9, np.float32),
            "labels": np.zeros((n, 1), np.int32),
            "count": np.ones((n, 1), np.int32),
        }"""
SCORES = """{"scores": np.tile(np.array([[0.97, 0.01, 0.01, 0.0, 0.01]], np.float32), (n, 1))}"""


def _tensor(name: str, kind: str, dims: str) -> str:
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [{dims}] }}'


def _config(size: int, outputs: list[tuple[str, str, str]], **parameters: str) -> str:
    said = [
        'backend: "python"',
        "max_batch_size: 8",
        f"input [ {_tensor('images', 'UINT8', f'{size},{size},3')} ]",
        f"output [ {', '.join(_tensor(*output) for output in outputs)} ]",
        "instance_group [ { kind: KIND_CPU count: 1 } ]",
    ]
    for key, value in {"channels": "rgb", "value_range": "0..255", **parameters}.items():
        said.append(f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}')
    return "\n".join(said)


def write_repository(folder: Path) -> Path:
    """Write the two models; return the folder."""
    boxes = [
        ("boxes", "FP32", "1,4"),
        ("scores", "FP32", "1"),
        ("labels", "INT32", "1"),
        ("count", "INT32", "1"),
    ]
    detector = _config(640, boxes, labels="suspect", output="fused", resize="letterbox")
    labels = "small_gun,big_gun,phone,umbrella,empty"
    classifier = _config(
        224,
        [("scores", "FP32", "5")],
        labels=labels,
        output="probabilities",
        resize="stretch",
    )
    for name, config, outputs in (
        ("yolov5", detector, BOXES),
        ("efficientnet_b0", classifier, SCORES),
    ):
        version = folder / name / "1"
        version.mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)
        (version / "model.py").write_text(MODEL.replace("{outputs}", outputs))
    return folder
