"""A real Triton with models made for tests. Loopback, free ports, no leftovers."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from secondlook.local import tritonserver
from secondlook.local.tritonserver import Server, TritonHome

MODELS = Path(__file__).parent / "models"
RUNNER = Path(__file__).parents[2] / "model_repository" / "yolov5" / "1" / "model.py"
PARAMETERS = {
    "output": "logits",
    "channels": "rgb",
    "value_range": "0..255",
    "resize": "stretch",
}


def labels(count: int) -> str:
    return ",".join(f"label_{number}" for number in range(count))


def write_config(
    folder: Path,
    *,
    dims: Sequence[int] = (8, 8, 3),
    datatype: str = "UINT8",
    max_batch: int = 8,
    outputs: Sequence[tuple[str, Sequence[int]]] = (("scores", (4,)),),
    instances: int = 1,
    extra: str = "",
    **parameters: str,
) -> None:
    """Write a config.pbtxt; parameters beside `PARAMETERS`, "" leaves one out."""
    width = outputs[0][1][-1]
    values = {**PARAMETERS, "labels": labels(width), **parameters}
    lines = [
        'backend: "python"',
        f"max_batch_size: {max_batch}",
        f'input [ {{ name: "images" data_type: TYPE_{datatype} dims: {list(dims)} }} ]',
        *(
            f'output [ {{ name: "{name}" data_type: TYPE_FP32 dims: {list(shape)} }} ]'
            for name, shape in outputs
        ),
        f"instance_group [ {{ kind: KIND_CPU count: {instances} }} ]",
        *(
            f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}'
            for key, value in values.items()
            if value
        ),
        extra,
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text("\n".join(lines) + "\n")


def add_stand_in(repository: Path, name: str, **config: Any) -> None:
    """Add a model whose answers tell which picture it was given; see models/stand_in.py."""
    write_config(repository / name, **config)
    version = repository / name / "1"
    version.mkdir(exist_ok=True)
    shutil.copy(MODELS / "stand_in.py", version / "model.py")


def add_onnx(repository: Path, name: str, onnx: Path | None, **config: Any) -> None:
    """Add a model that the product's own runner serves; `None` leaves its file out."""
    write_config(repository / name, **config)
    version = repository / name / "1"
    version.mkdir(exist_ok=True)
    shutil.copy(RUNNER, version / "model.py")
    if onnx is not None:
        shutil.copy(onnx, version / "model.onnx")


STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "uint8_nhwc": {},
    "uint8_nchw": {"dims": (3, 8, 8)},
    "fp32_nhwc_one": {"datatype": "FP32", "max_batch": 1},
    "fp32_nchw": {"dims": (3, 8, 8), "datatype": "FP32"},
    "fp16_nhwc": {"datatype": "FP16"},
    "no_batch": {"max_batch": 0},
    "batch_in_shape": {
        "dims": (1, 3, 8, 8),
        "datatype": "FP32",
        "max_batch": 0,
        "outputs": (("scores", (1, 4)),),
    },
    "free_output": {"outputs": (("scores", (-1,)),), "labels": labels(4), "width": "4"},
    "large": {"dims": (256, 256, 3), "outputs": (("scores", (4096,)),), "instances": 2},
    "slow": {
        "dims": (256, 256, 3),
        "max_batch": 2,
        "outputs": (("scores", (4096,)),),
        "instances": 2,
        "sleep_s": "0.5",
        "sleep_above": "150",
    },
    "nan": {"answer": "nan"},
    "empty": {"answer": "empty"},
    "wide": {"answer": "wide"},
    "fails": {"answer": "fail"},
    "never_loads": {"answer": "none"},
    "no_parameters": dict.fromkeys(("labels", *PARAMETERS), ""),
    "too_few_labels": {"labels": "one,two"},
    "no_picture": {"dims": (8, 8)},
    "free_size": {"dims": (-1, -1, 3)},
    "four_channels": {"dims": (8, 8, 4)},
    "integers": {"datatype": "INT64"},
    "bad_parameter": {"channels": "cmyk"},
    "two_inputs": {"extra": 'input [ { name: "more" data_type: TYPE_FP32 dims: [ 1 ] } ]'},
    "not_probabilities": {"output": "probabilities"},
}


@pytest.fixture(scope="session")
def triton_home() -> TritonHome:
    """Return the installed server; the first run on a machine installs it."""
    return tritonserver.install(lambda line: print(line))  # noqa: T201, PLW0108 - pytest shows it with -s


@pytest.fixture(scope="session")
def triton_server(
    triton_home: TritonHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run one server with all the models above; tests must leave it running."""
    folder = tmp_path_factory.mktemp("triton")
    repository = folder / "models"
    for name, config in STAND_INS.items():
        add_stand_in(repository, name, **config)
    outputs = (("scores", (3,)),)
    batching = "dynamic_batching { }"
    add_onnx(repository, "mean", MODELS / "mean.onnx", outputs=outputs, extra=batching)
    add_onnx(repository, "no_file", None)
    add_onnx(repository, "other_names", MODELS / "mean.onnx", outputs=(("points", (3,)),))
    with Server(triton_home, repository, folder / "log.txt") as server:
        yield server


@pytest.fixture
def own_server(triton_home: TritonHome, tmp_path: Path) -> Iterator[Server]:
    """Lend a server that is not started yet, for a test that kills it."""
    repository = tmp_path / "models"
    add_stand_in(repository, "large", **STAND_INS["large"])
    server = Server(triton_home, repository, tmp_path / "log.txt")
    yield server
    server.kill()
