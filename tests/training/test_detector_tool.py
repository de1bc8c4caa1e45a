import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import detector_tool, environment
from training.detector_tool import Request, export_command, train, train_command
from training.environment import TrainingError


def request(tmp_path: Path, **given) -> Request:
    return Request(given.pop("tool", "yolov5"), Path(sys.executable), tmp_path,
                   tmp_path / "data.yaml", **given)  # fmt: skip


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A stand-in for the tool: a module that runs what the test says."""

    def stands_for(code: str) -> Request:
        folder = tmp_path / "tool"
        folder.mkdir()
        launcher = folder / "launch.py"
        launcher.write_text(textwrap.dedent(code))
        monkeypatch.setattr(detector_tool, "_prepare", lambda _: launcher)
        monkeypatch.setattr(detector_tool, "train_command", lambda *_, **__: ["tool.train"])
        return request(tmp_path)

    return stands_for


def test_a_training_starts_from_nothing_and_a_resumed_one_from_its_checkpoint(
    tmp_path,
) -> None:
    asked = request(tmp_path, model="nano.yaml", epochs=3)
    command = train_command(asked, resume=False)
    assert command[command.index("--weights") + 1] == ""
    assert command[command.index("--epochs") + 1] == "3"
    assert "--hyp" not in command
    last = str(tmp_path / "train/weights/last.pt")
    assert train_command(asked, resume=True) == ["yolov5.train", "--resume", last]
    assert last in export_command(asked)


def test_the_kit_brings_its_own_hyperparameters(tmp_path) -> None:
    asked = request(tmp_path, model="nano.yaml", hyperparameters={"lr0": 0.01})
    assert "--hyp" in train_command(asked, resume=False)


def test_there_is_nothing_to_go_on_from(tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"nothing to go on from"):
        train(request(tmp_path), minutes=1, resume=True)


def test_a_tool_that_fails_says_so(tool) -> None:
    with pytest.raises(TrainingError, match=r"tool.train ended with code 3"):
        train(tool("raise SystemExit(3)"), minutes=1)


def test_when_the_time_is_over_the_last_epoch_counts(tool, tmp_path) -> None:
    asked = tool(f"""
        import pathlib, time
        weights = pathlib.Path({str(tmp_path)!r}) / "train/weights"
        weights.mkdir(parents=True)
        (weights / "last.pt").write_text("epoch 1")
        time.sleep(60)
    """)
    # Long enough for an interpreter to start on a machine that is too busy.
    assert train(asked, minutes=8 / 60) is False
    assert asked.last.read_text() == "epoch 1"


def test_a_training_says_what_it_was_made_with(tool, tmp_path) -> None:
    train(tool(""), minutes=1)
    facts = json.loads((tmp_path / "environment.json").read_text())
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["python"] == platform.python_version()
    assert facts["command"] == sys.argv
    assert isinstance(facts["accelerators"], list)


def test_an_interpreter_whose_torch_is_broken_is_told_in_a_sentence(tmp_path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'OSError: libcudart.so is missing' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(TrainingError, match=r"cannot import torch: .*libcudart.so is missing"):
        environment.told(python)


def test_when_the_time_is_over_before_the_first_epoch_nothing_counts(tool) -> None:
    with pytest.raises(TrainingError, match=r"no epoch was finished"):
        train(tool("import time; time.sleep(60)"), minutes=1 / 60)


def test_a_ctrl_c_ends_the_tool_and_what_it_started(tool, tmp_path, monkeypatch) -> None:
    children = tmp_path / "children"
    asked = tool(f"""
        import os, pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        loader = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        part = pathlib.Path({str(children)!r} + ".part")
        part.write_text(f"{{os.getpid()}} {{loader.pid}}")
        part.rename({str(children)!r})
        time.sleep(60)
    """)
    monkeypatch.setattr(detector_tool, "_GRACE_S", 0.3)

    def interrupt(*_: object, **__: object) -> int:
        until = time.monotonic() + 60
        while not children.exists() and time.monotonic() < until:
            time.sleep(0.02)
        raise KeyboardInterrupt

    original = subprocess.Popen.wait
    calls = iter([interrupt])

    def wait(child: Any, *given: Any, **named: Any) -> int:
        is_tool = "tool.train" in child.args
        return (next(calls, original) if is_tool else original)(child, *given, **named)

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        train(asked, minutes=1)
    for pid in map(int, children.read_text().split()):
        assert is_gone(pid)


TRAINS = """
import sys, time
from pathlib import Path
import click
from training import detector, detector_tool
folder = Path(sys.argv.pop())
detector_tool._prepare = lambda _: folder / "launch.py"
@click.command()
def command():
    asked = detector_tool.Request("yolov5", Path(sys.executable), folder, folder / "data.yaml")
    detector_tool._run(asked, ["tool.train"], until=time.monotonic() + 60)
detector.run(command, again="this")
"""


def test_a_kill_ends_the_tool_too(tmp_path) -> None:
    (tmp_path / "launch.py").write_text(
        f"import os, pathlib, time\npart = pathlib.Path({str(tmp_path / 'part')!r})\n"
        "part.write_text(str(os.getpid()))\npart.rename(part.with_name('pid'))\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", TRAINS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        until = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and time.monotonic() < until:
            time.sleep(0.05)
        training.terminate()
        said, _ = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "what is done is kept: this goes on" in said
    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_an_interpreter_without_the_tool_is_told_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    with pytest.raises(TrainingError, match=r"has no surely_missing: .*training.environment"):
        environment.interpreter("surely_missing")


def test_an_interpreter_that_is_none_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "python"))
    with pytest.raises(TrainingError, match=environment.VARIABLE):
        environment.interpreter("yolov5")
