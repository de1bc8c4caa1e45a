"""Runs the detector's training tool, YOLOv5's or Ultralytics' command line, as a process.

Both are AGPL-3.0. They are never imported here and none of their code is copied; the weights
that they make carry their licence (model_repository/LICENSE.md).
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training import runs
from training.environment import TrainingError, ask, told

Tool = Literal["yolov5", "ultralytics"]
OPSET = 17
_GRACE_S = 15.0
"""After a Ctrl-C the tool may still write what it has."""

_LAUNCHER = '''\
"""Runs a module as `python -m` does, or a script, on newer libraries than it was written for."""
import functools, os, runpy, sys
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
import numpy, torch
if not hasattr(numpy, "trapz"):
    numpy.trapz = numpy.trapezoid
export = torch.onnx.export
@functools.wraps(export)
def export_with_free_batch(*args, **options):
    names = [*options["input_names"], *options["output_names"]]
    options["dynamic_axes"] = {name: {0: "batch"} for name in names}
    return export(*args, **options, dynamo=False)
torch.onnx.export = export_with_free_batch
sys.argv = sys.argv[1:]
if os.path.exists(sys.argv[0]):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
'''
_NO_HUB = """\
from huggingface_hub.utils._errors import RepositoryNotFoundError
def list_repo_files(**_):
    raise RepositoryNotFoundError
def hf_hub_download(**_):
    raise RepositoryNotFoundError
"""
# The tool asks for clients of two services at import; without them it stays offline.
_STAND_INS = {
    "huggingface_hub/__init__.py": _NO_HUB,
    "huggingface_hub/utils/__init__.py": "",
    "huggingface_hub/utils/_errors.py": "class RepositoryNotFoundError(Exception): ...\n",
    "huggingface_hub/utils/_validators.py": "class HFValidationError(Exception): ...\n",
    "launch.py": _LAUNCHER,
    "roboflow/__init__.py": "class Roboflow: ...\n",
    "roboflow/core/__init__.py": "",
    "roboflow/core/version.py": "class Version: ...\n",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be trained, and where."""

    tool: Tool
    python: Path
    """The interpreter that has the tool."""
    out: Path
    data: Path
    """A YOLO `data.yaml`."""
    epochs: int = 40
    batch: int = 64
    side: int = 640
    workers: int = 8
    device: str = ""
    model: str = ""
    """The tool's name for the network; empty: the smallest one."""
    weights: str = ""
    """A checkpoint to start from; empty: from nothing."""
    hyperparameters: Mapping[str, float] | None = None
    """For `yolov5 train --hyp`, instead of the tool's own."""

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.out / "train/weights/last.pt"

    @property
    def kind(self) -> Literal["yolov5", "yolov8"]:
        """How the exported model answers, in the words of `training.export`."""
        return "yolov5" if self.tool == "yolov5" else "yolov8"


def train_command(request: Request, *, resume: bool) -> list[str]:
    """Return the tool's module or script, and its arguments, for a training."""
    if request.tool == "ultralytics":
        network = str(request.last) if resume else request.weights or request.model
        return [
            _script(request), "detect", "train", f"model={network or 'yolov8n.yaml'}",
            f"data={request.data}", f"epochs={request.epochs}", f"batch={request.batch}",
            f"imgsz={request.side}", f"workers={request.workers}", f"project={request.out}",
            "name=train", "exist_ok=True", "plots=False", "amp=False", "cos_lr=True",
            "pretrained=False", *([f"device={request.device}"] if request.device else []),
            *(["resume=True"] if resume else []),
        ]  # fmt: skip
    if resume:
        return ["yolov5.train", "--resume", str(request.last)]
    network = request.model or str(_beside(request, "models/yolov5n.yaml"))
    return [
        "yolov5.train", "--data", str(request.data), "--cfg", network,
        "--weights", request.weights,
        "--epochs", str(request.epochs), "--batch-size", str(request.batch),
        "--imgsz", str(request.side), "--workers", str(request.workers),
        "--device", request.device, "--project", str(request.out), "--name", "train",
        "--exist-ok", "--noplots", "--noautoanchor", "--cos-lr", "--cache", "ram",
        *(["--hyp", str(_hyperparameters(request))] if request.hyperparameters else []),
    ]  # fmt: skip


def export_command(request: Request) -> list[str]:
    """Return the tool's module or script, and its arguments, for an ONNX file."""
    if request.tool == "ultralytics":
        return [
            _script(request), "export", f"model={request.last}", "format=onnx",
            f"opset={OPSET}", f"imgsz={request.side}", "device=cpu", "simplify=False",
        ]  # fmt: skip
    return [
        "yolov5.export", "--weights", str(request.last), "--include", "onnx",
        "--opset", str(OPSET), "--imgsz", str(request.side), "--device", "cpu",
    ]  # fmt: skip


def train(request: Request, *, minutes: float, resume: bool = False) -> bool:
    """Train; return False if the time was over before the epochs were.

    The last finished epoch's weights count then. `environment.json` says what they were made with.

    Raises:
        TrainingError: The tool failed, or there is nothing to go on from.
    """
    if resume and not request.last.exists():
        raise TrainingError(f"{request.last} is missing: there is nothing to go on from")
    request.out.mkdir(parents=True, exist_ok=True)
    if request.hyperparameters:
        _hyperparameters(request).write_text(json.dumps(dict(request.hyperparameters)))
    until = time.monotonic() + minutes * 60
    made_with = {**runs.machine(), **told(request.python)}
    runs.write(request.out, runs.ENVIRONMENT, made_with)
    whole = _run(request, train_command(request, resume=resume), until=until)
    if not whole and not request.last.exists():
        raise TrainingError(f"no epoch was finished in {minutes:.1f} minutes: give it more")
    return whole


def export(request: Request) -> Path:
    """Write the newest checkpoint as ONNX with a free batch dimension and return its path.

    Raises:
        TrainingError: There is no checkpoint, or the tool failed.
    """
    if not request.last.exists():
        raise TrainingError(f"{request.last} is missing: train first")
    if not _run(request, export_command(request), until=time.monotonic() + 300):
        raise TrainingError("the export took more than five minutes: is the machine overloaded?")
    return request.last.with_suffix(".onnx")


def _run(request: Request, command: Sequence[str], *, until: float) -> bool:
    """Run one of the tool's programs; return False if it had to be stopped at `until`."""
    launcher = _prepare(request)
    child = subprocess.Popen(
        [str(request.python), str(launcher), *command],
        env=_surroundings(request),
        start_new_session=True,
    )
    try:
        code = child.wait(timeout=max(until - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        return False
    finally:
        _end(child)
    if code:
        raise TrainingError(f"{command[0]} ended with code {code}: see its output above")
    return True


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the tool and the loaders it started, whatever happened here."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _prepare(request: Request) -> Path:
    """Write what the tool misses offline and return the launcher."""
    folder = request.out / "tool"
    for name, text in _STAND_INS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = folder / "settings"
    settings.mkdir(exist_ok=True)
    # It would download this font to label plots that nobody asked for.
    fonts = Path(ask(request.python, "matplotlib")).parent / "mpl-data/fonts/ttf"
    shutil.copy(fonts / "DejaVuSans.ttf", settings / "Arial.ttf")
    return folder / "launch.py"


def _surroundings(request: Request) -> dict[str, str]:
    folder = (request.out / "tool").resolve()
    settings = str(folder / "settings")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "YOLOV5_CONFIG_DIR": settings,
        "YOLO_CONFIG_DIR": settings,
        "WANDB_MODE": "disabled",
        "PYTHONUNBUFFERED": "1",
    }


def _hyperparameters(request: Request) -> Path:
    return request.out / "hyperparameters.yaml"


def _beside(request: Request, name: str) -> Path:
    return Path(ask(request.python, "yolov5")).parent / name


def _script(request: Request) -> str:
    script = request.python.parent / "yolo"
    if not script.exists():
        raise TrainingError(f"{script} is missing: install ultralytics beside {request.python}")
    return str(script)
