"""The files that run the models lie in every model's folder, and are the same."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2] / "model_repository"


@pytest.mark.parametrize("name", ["model.py", "model_torch.py", "torch_graph.py"])
def test_every_model_has_the_same_runner(name: str) -> None:
    runners = {path.read_text() for path in REPOSITORY.glob(f"*/1/{name}")}

    assert len(list(REPOSITORY.glob(f"*/1/{name}"))) == len(list(REPOSITORY.glob("*/config.pbtxt")))
    assert len(runners) == 1
