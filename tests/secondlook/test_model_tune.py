"""`secondlook model tune`: what it says, writes and leaves alone. Nothing is served here."""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from secondlook.adapters.model_config import read_config
from secondlook.cli import main
from secondlook.commands import model_tune, options
from secondlook.errors import ModelError
from secondlook.local import model_trial
from secondlook.local.tritonserver import TritonHome
from secondlook.tuning import Measured, Settings, present

SHIPPED = Path(__file__).parents[2] / "model_repository"
FASTER = {1: Measured(10, 20), 2: Measured(20, 25)}


@dataclass
class Machine:
    """Stands in for Triton: how it does is known, and what it is asked is kept."""

    does: Callable[[Settings], Measured] = lambda settings: FASTER[settings.instances]
    asked: list[tuple[str, Settings]] = field(default_factory=list)
    served: list[Settings] = field(default_factory=list)

    async def measure(self, _home, repository, name, settings, *, seconds, overrides) -> Measured:
        self.asked.append((name, settings))
        config = read_config(repository / name / "config.pbtxt")
        assert not (repository / name / "configs").exists(), "one configuration counts"
        assert (repository / name / "1" / "model.onnx").stat().st_size > 1e6
        self.served.append(present(config, in_flight=settings.in_flight, batch=settings.batch))
        return self.does(settings)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Two cores, and a Triton with the Python backend alone."""
    machine = Machine()
    home = TritonHome(tmp_path / "home", "3.11", "")
    (home.server / "backends" / "python").mkdir(parents=True)
    monkeypatch.setattr(model_tune, "triton_for", lambda *_: home)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(model_trial, "measure", machine.measure)
    monkeypatch.chdir(tmp_path)
    return machine


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Copy the shipped models."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SHIPPED, tmp_path / "models", ignore=ignored)
    return tmp_path / "models"


def tune(repository: Path, *arguments: str) -> Result:
    argv = ["model", "tune", "--models", str(repository), *arguments]
    return CliRunner().invoke(main, argv, env={"COLUMNS": "120"})


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_it_tries_all_models_and_changes_nothing(machine: Machine, repository: Path) -> None:
    before = content(repository)

    result = tune(repository)

    assert result.exit_code == 0, result.output
    assert content(repository) == before
    assert machine.served == [settings for _, settings in machine.asked]
    assert [name for name, _ in machine.asked] == ["efficientnet_b0"] * 6 + ["yolov5"] * 6
    assert machine.served[:3] == machine.served[5:2:-1], "the second round goes backwards"
    said = "yolov5: take 2 instances of 1 thread, 4 calls of 1: 2.00 times as many pictures"
    assert said in result.stdout
    assert "(2.00 to 2.00 over the rounds), a single request takes 25.0 instead of 20.0 ms" in (
        result.stdout
    )


def test_it_writes_what_it_recommends_and_nothing_else(machine: Machine, repository: Path) -> None:
    before = content(repository)

    result = tune(repository, "yolov5", "--write")

    assert result.exit_code == 0, result.output
    after = content(repository)
    changed = sorted(path for path in after if after[path] != before.get(path))
    assert changed == ["yolov5/config.pbtxt", "yolov5/configs/python.pbtxt"], "they stay the same"
    assert before.keys() == after.keys()
    old, new = (files["yolov5/config.pbtxt"].decode().splitlines() for files in (before, after))
    assert [(a, b) for a, b in zip(old, new, strict=True) if a != b] == [
        (
            "instance_group [ { kind: KIND_CPU count: 1 } ]",
            "instance_group [ { kind: KIND_CPU count: 2 } ]",
        ),
        (
            'parameters { key: "threads" value: { string_value: "auto" } }',
            'parameters { key: "threads" value: { string_value: "1" } }',
        ),
    ]
    assert "It counts from the next start of Triton" in result.stdout


def test_a_file_of_the_platforms_own_is_written_alone(machine: Machine, repository: Path) -> None:
    common = repository / "yolov5" / "config.pbtxt"
    common.write_text(common.read_text() + "# mine\n")
    before = common.read_text()

    tune(repository, "yolov5", "--write")

    assert common.read_text() == before
    assert "count: 2" in (repository / "yolov5/configs/python.pbtxt").read_text()


def test_settings_that_are_good_are_kept(machine: Machine, repository: Path) -> None:
    machine.does = lambda settings: Measured(10, 20)
    before = content(repository)

    result = tune(repository, "--write")

    assert content(repository) == before
    assert "yolov5: keep the present settings; nothing else was faster by 3%" in result.stdout


def test_rounds_that_differ_are_said(machine: Machine, repository: Path) -> None:
    machine.does = lambda settings: Measured(10 if len(machine.asked) <= 3 else 15, 20)

    result = tune(repository, "yolov5")

    assert "the rounds of the same settings differ by up to 1.5 times" in result.stdout


def test_where_the_rounds_differ_too_much_nothing_is_written(
    machine: Machine, repository: Path
) -> None:
    def does(settings: Settings) -> Measured:
        return Measured(settings.instances * (10 if len(machine.asked) <= 3 else 15), 20)

    machine.does = does
    before = content(repository)

    result = tune(repository, "yolov5", "--write")

    assert "take 2 instances" in result.stdout
    assert "Not written, because the rounds differ too much" in result.stdout
    assert content(repository) == before


def test_a_candidate_that_fails_is_said_and_not_tried_again(
    machine: Machine, repository: Path
) -> None:
    def does(settings: Settings) -> Measured:
        if settings.instances == 2:
            raise ModelError("no memory is left")
        return Measured(10, 20)

    machine.does = does

    result = tune(repository, "yolov5")

    assert result.exit_code == 0
    assert "failed: 2 instances of 1 thread, 4 calls of 1: no memory is left" in result.stdout
    assert len(machine.asked) == 5


def test_if_all_fail_the_exit_status_says_so(machine: Machine, repository: Path) -> None:
    def does(settings: Settings) -> Measured:
        raise ModelError("it is broken")

    machine.does = does

    result = tune(repository, "yolov5", "--write")

    assert result.exit_code == 1
    assert "yolov5: nothing could be measured" in result.stdout


def test_what_was_measured_before_ctrl_c_is_shown_and_not_written(
    machine: Machine, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(repository)

    def does(settings: Settings) -> Measured:
        if len(machine.asked) == 3:
            raise asyncio.CancelledError
        return FASTER[settings.instances]

    machine.does = does
    monkeypatch.setattr(options, "run", until_cancelled)

    result = tune(repository, "yolov5", "--write")

    assert result.exit_code == 130
    assert "Interrupted: these are the measurements so far; nothing was written" in result.stderr
    assert result.stdout.count("10.0 (10.0 to 10.0)") == 2
    assert content(repository) == before


def until_cancelled(work: Coroutine[Any, Any, object]) -> object:
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        return None


def test_json_is_for_programs(machine: Machine, repository: Path) -> None:
    (found,) = json.loads(tune(repository, "yolov5", "--json", "--rounds", "1").stdout)

    assert found["model"] == "yolov5"
    assert found["recommended"] == {"instances": 2, "threads": "1", "in_flight": 4, "batch": 1}
    assert found["gains"] == [2.0]
    assert found["trials"][0]["rounds"] == [{"per_s": 10, "delay_ms": 20}]


def test_it_asks_as_the_configuration_says(machine: Machine, repository: Path) -> None:
    Path("config.yaml").write_text(
        "cameras: {yard: {source: 'synthetic:'}}\ntriton: {url: 'gpu.example:8001'}\n"
        "detector: {in_flight: 6, max_batch: 4}\nclassifier: {max_batch: 3}\n"
    )

    result = tune(repository)

    asked = {(name, each.in_flight, each.batch) for name, each in machine.asked}
    assert asked == {("efficientnet_b0", 2, 3), ("yolov5", 6, 4)}
    assert "the Triton at gpu.example:8001; measured is a copy on this machine" in result.stderr


def test_it_says_which_calls_to_set(
    machine: Machine, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    machine.does = lambda settings: Measured(10 * settings.instances, 20)

    result = tune(repository, "yolov5")

    assert "take 8 instances of 1 thread, 16 calls of 1: 8.00 times" in result.stdout
    assert "set in config.yaml: detector.in_flight: 16" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "there is no model nobody in"),
        (["--platform", "onnx"], "onnx needs the backend onnxruntime, which this machine's own"),
        (["--platform", "tensorrt"], "tensorrt needs the backend tensorrt"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence(
    machine: Machine, repository: Path, arguments: list[str], said: str
) -> None:
    result = tune(repository, *arguments)

    assert result.exit_code == 1
    assert said in result.stderr
    assert machine.asked == []


def test_a_file_that_cannot_be_edited_is_said_before_anything_is_measured(
    machine: Machine, repository: Path
) -> None:
    path = repository / "yolov5" / "configs" / "python.pbtxt"
    path.write_text(path.read_text() + "instance_group [ { count: 2 } ]\n")

    result = tune(repository)

    assert result.exit_code == 1
    assert "python.pbtxt has several groups of instances" in result.stderr
    assert machine.asked == []


def test_a_folder_that_cannot_be_written_is_a_sentence_and_leaves_the_file(
    machine: Machine, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(repository)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copymode", full)

    result = tune(repository, "yolov5", "--write")

    assert result.exit_code == 1
    assert "python.pbtxt cannot be written: No space left on device" in result.stderr
    assert content(repository) == before
