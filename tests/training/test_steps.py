import json

import click
import pytest

from training.steps import Steps

NAMES = ("draw", "train", "export")
OPTIONS = {"seed": 1, "labels": ("a", "b")}


def test_a_second_call_goes_on_where_the_first_stopped(tmp_path) -> None:
    ran = []

    def fail() -> None:
        ran.append("train, in vain")
        raise KeyboardInterrupt

    def draw() -> dict[str, int]:
        ran.append("draw")
        return {"scenes": 7}

    first = Steps(tmp_path / "kit/steps.json", NAMES, OPTIONS)
    assert first.do("draw", draw) == {"scenes": 7}
    with pytest.raises(KeyboardInterrupt):
        first.do("train", fail)

    second = Steps(tmp_path / "kit/steps.json", NAMES, OPTIONS)
    assert second.is_done("draw")
    assert not second.is_done("train")
    assert second.do("draw", draw) == {"scenes": 7}
    assert second.do("train", lambda: ran.append("train")) == {}
    assert ran == ["draw", "train, in vain", "train"]


def test_a_step_says_its_place(tmp_path, capsys) -> None:
    steps = Steps(tmp_path / "steps.json", NAMES, OPTIONS)
    steps.do("train", lambda: None)
    steps.do("train", lambda: None)
    assert capsys.readouterr().out.splitlines() == [
        "[2 of 3] train (0.0 minutes so far)",
        "[2 of 3] train: done before",
    ]


def test_other_options_are_another_work(tmp_path) -> None:
    Steps(tmp_path / "steps.json", NAMES, OPTIONS).do("draw", lambda: None)
    with pytest.raises(click.ClickException, match="another seed: give the same options"):
        Steps(tmp_path / "steps.json", NAMES, {**OPTIONS, "seed": 2})


def test_what_is_kept_is_whole(tmp_path) -> None:
    Steps(tmp_path / "steps.json", NAMES, OPTIONS).do("draw", lambda: None)
    kept = json.loads((tmp_path / "steps.json").read_text())
    assert kept["done"] == {"draw": {}}
    assert [path.name for path in tmp_path.iterdir()] == ["steps.json"]
