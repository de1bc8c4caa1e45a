"""The file that runs the models lies in every model's folder, and is one."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2] / "model_repository"


def test_every_model_has_the_same_runner() -> None:
    runners = {path.read_text() for path in REPOSITORY.glob("*/1/model.py")}

    assert len(list(REPOSITORY.glob("*/1/model.py"))) == len(
        list(REPOSITORY.glob("*/config.pbtxt"))
    )
    assert len(runners) == 1
