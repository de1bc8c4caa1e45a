"""The files that run the models lie in every model's folder, and are the same."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2] / "model_repository"


@pytest.mark.parametrize("name", ["model.py", "model_torch.py", "torch_graph.py"])
def test_every_model_has_the_same_runner(name: str) -> None:
    runners = {path.read_text() for path in REPOSITORY.glob(f"*/1/{name}")}

    assert len(list(REPOSITORY.glob(f"*/1/{name}"))) == len(list(REPOSITORY.glob("*/config.pbtxt")))
    assert len(runners) == 1


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load model.py without Triton, whose module is there only inside its backend."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("backend"))
    path = REPOSITORY / "yolov5" / "1" / "model.py"
    spec = importlib.util.spec_from_file_location("runner_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("said", "instances", "cores", "threads"),
    [
        ("auto", [1], 1, 1),
        ("auto", [1], 2, 2),
        ("auto", [1], 4, 4),
        ("auto", [1], 16, 4),
        ("auto", [2], 4, 2),
        ("auto", [4], 16, 4),
        ("auto", [4], 2, 1),
        ("auto", [1, 1], 4, 2),
        ("auto", [], 2, 2),
        ("6", [1], 2, 6),
    ],
)
def test_instances_share_the_cores_unless_their_threads_are_said(
    runner: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    instances: list[int],
    cores: int,
    threads: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    groups = [{"count": number} for number in instances]

    assert runner._threads(said, {"instance_group": groups}) == threads
