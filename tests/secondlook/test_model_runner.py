"""The files that run the models lie in every model's folder, and are the same."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from secondlook.tuning import automatic

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
    ("instances", "cores", "threads"),
    [
        ([1], 1, 1), ([1], 2, 2), ([1], 4, 4), ([1], 16, 4), ([2], 4, 2), ([4], 16, 4),
        ([4], 2, 1), ([1, 1], 4, 2), ([], 2, 2),
    ],
)  # fmt: skip
def test_with_auto_instances_share_the_cores(
    runner: ModuleType, monkeypatch: pytest.MonkeyPatch, instances, cores, threads
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    groups = [{"count": number} for number in instances]

    assert runner._threads("auto", {"instance_group": groups}) == threads
    assert automatic(sum(instances), cores) == threads, "as model tune takes it"


def test_threads_that_are_said_are_taken(runner: ModuleType) -> None:
    assert runner._threads("6", {}) == 6
