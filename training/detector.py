"""Trains the demo detector: YOLOv5n, anchor-based, by running the `yolov5` command as a process.

That tool is AGPL-3.0. It is never imported here and none of its code is copied; the weights
that it makes carry its licence (model_repository/LICENSE.md).

`python -m training.detector train --data runs/cards/data.yaml --out runs/detector`
`python -m training.detector export --out runs/detector`
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

SIDE = 640

HYPERPARAMETERS = {
    "lr0": 0.01, "lrf": 0.02, "momentum": 0.937, "weight_decay": 0.0005,
    "warmup_epochs": 1.0, "warmup_momentum": 0.8, "warmup_bias_lr": 0.1,
    "box": 0.05, "cls": 0.5, "cls_pw": 1.0, "obj": 1.0, "obj_pw": 1.0,
    "iou_t": 0.2, "anchor_t": 4.0, "fl_gamma": 0.0,
    "hsv_h": 0.02, "hsv_s": 0.5, "hsv_v": 0.35,
    "degrees": 0.0, "translate": 0.1, "scale": 0.4, "shear": 0.0, "perspective": 0.0,
    "flipud": 0.0, "fliplr": 0.5, "mosaic": 0.35, "mixup": 0.0, "copy_paste": 0.0,
}  # fmt: skip
"""What `yolov5 train --hyp` asks for. Little augmentation: the scenes bring their own variety."""

_LAUNCHER = '''\
"""Runs a module as `python -m` does, on newer libraries than it was written for."""
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


class TrainingError(Exception):
    """Training cannot go on; the message says what to do."""


def _prepare(out: Path) -> dict[str, str]:
    """Write what the tool misses offline and return its environment."""
    for name, text in _STAND_INS.items():
        path = out / "tool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = out / "tool" / "settings"
    settings.mkdir(exist_ok=True)
    fonts = importlib.util.find_spec("matplotlib")
    if fonts is None or fonts.origin is None:
        raise TrainingError("matplotlib is missing: pip install yolov5==7.0.14")
    # It would download this font to label plots that nobody asked for.
    font = Path(fonts.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    shutil.copy(font, settings / "Arial.ttf")
    paths = [str((out / "tool").resolve()), os.environ.get("PYTHONPATH", "")]
    settings_path = str(settings.resolve())
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "YOLOV5_CONFIG_DIR": settings_path,
        "YOLO_CONFIG_DIR": settings_path,
        "WANDB_MODE": "disabled",
    }


def _tool_file(name: str) -> Path:
    found = importlib.util.find_spec("yolov5")
    if found is None or found.origin is None:
        raise TrainingError("the training tool is missing: pip install yolov5==7.0.14")
    return Path(found.origin).parent / name


def _run(out: Path, module: str, arguments: Sequence[str], *, until: float) -> bool:
    """Run one of the tool's programs; return False if it had to be stopped at `until`."""
    command = [sys.executable, str(out / "tool" / "launch.py"), module, *arguments]
    child = subprocess.Popen(command, env=_prepare(out), start_new_session=True)
    try:
        code = child.wait(timeout=max(until - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return False
    if code:
        raise TrainingError(f"{module} ended with code {code}: see its output above")
    return True


@click.group()
def main() -> None:
    """Train and export the demo detector."""


@main.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/detector"))
@click.option("--epochs", default=20, show_default=True)
@click.option("--minutes", default=7.0, show_default=True, help="Stopped after this time.")
@click.option("--batch", default=128, show_default=True)
@click.option("--workers", default=14, show_default=True)
@click.option("--device", default="", help="`cpu`, or a GPU's number.")
@click.option("--weights", default="", help="A checkpoint to go on from.")
@click.option("--side", default=SIDE, show_default=True)
def train(
    *,
    data: Path, out: Path, epochs: int, minutes: float, batch: int, workers: int, device: str,
    weights: str, side: int,
) -> None:  # fmt: skip
    """Train; when the time is over, the last finished epoch's weights count."""
    out.mkdir(parents=True, exist_ok=True)
    hyperparameters = out / "hyperparameters.yaml"
    hyperparameters.write_text(json.dumps(HYPERPARAMETERS))
    arguments = [
        "--data", str(data), "--cfg", str(_tool_file("models/yolov5n.yaml")), "--weights", weights,
        "--hyp", str(hyperparameters), "--epochs", str(epochs), "--batch-size", str(batch),
        "--imgsz", str(side), "--workers", str(workers), "--device", device, "--project", str(out),
        "--name", "train", "--exist-ok", "--noplots", "--noautoanchor", "--cos-lr",
        "--cache", "ram",
    ]  # fmt: skip
    whole = _run(out, "yolov5.train", arguments, until=time.monotonic() + minutes * 60)
    click.echo("trained" if whole else f"stopped after {minutes} minutes")


@main.command()
@click.option("--out", type=click.Path(exists=True, path_type=Path), default=Path("runs/detector"))
@click.option("--opset", default=17, show_default=True)
@click.option("--side", default=SIDE, show_default=True)
def export(out: Path, opset: int, side: int) -> None:
    """Write `last.onnx` beside the newest weights, with a free batch dimension."""
    weights = out / "train/weights/last.pt"
    if not weights.exists():
        raise TrainingError(f"{weights} is missing: train first")
    arguments = ["--weights", str(weights), "--include", "onnx", "--opset", str(opset),
                 "--imgsz", str(side), "--device", "cpu"]  # fmt: skip
    _run(out, "yolov5.export", arguments, until=time.monotonic() + 300)


if __name__ == "__main__":
    try:
        main()
    except TrainingError as error:
        raise SystemExit(str(error)) from None
