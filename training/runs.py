"""The folder of one training: what was asked for, what came out, and on which machine."""

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click

CONFIG, METRICS, ENVIRONMENT = "config.json", "metrics.json", "environment.json"
_PACKAGES = (
    "keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy", "opencv-python-headless",
    "opencv-python", "onnx", "onnxruntime", "tf2onnx",
)  # fmt: skip


def new_folder(out: Path | None) -> Path:
    """Make and return the folder to write to; without a wish one named after the time."""
    folder = out or Path("runs") / time.strftime("%Y-%m-%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    part = folder / f"{name}.part"
    part.write_text(json.dumps(content, indent=2, default=str) + "\n")
    part.replace(folder / name)


def config(folder: Path, labels: Sequence[str] = (), side: int | None = None) -> dict[str, Any]:
    """Return what a training was asked for; what is given stands for what its file lacks.

    Raises:
        click.ClickException: There is no such file, and no labels were given.
    """
    path = folder / CONFIG
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if labels:
        found["labels"] = list(labels)
    if side:
        found["side"] = side
    if "labels" not in found:
        raise click.ClickException(f"{path} is missing: say the labels, in order, with --labels")
    return {"side": 224, "alerting": [], **found}


def temperature(folder: Path) -> float:
    """Return the divisor of the logits that a judgement has found.

    Raises:
        click.ClickException: Nothing judged these weights yet.
    """
    try:
        return float(json.loads((folder / METRICS).read_text())["temperature"])
    except (OSError, ValueError, KeyError):
        raise click.ClickException(
            f"{folder / METRICS} holds no temperature: run "
            f"`python -m training.classifier judge --crops FOLDER --out {folder}` first"
        ) from None


def machine() -> dict[str, Any]:
    """Return when, where and from which commit a program was started."""
    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "commit": _commit(),
        "command": sys.argv,
    }


def environment(keras: Any) -> dict[str, Any]:  # noqa: ANN401 - keras carries no types
    """Return the versions, the hardware and the commit that a training ran with."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    backend = keras.backend.backend()
    return {
        **machine(),
        "backend": backend,
        "versions": versions,
        "accelerators": _accelerators(backend),
    }


def _accelerators(backend: str) -> list[str]:
    """Return the names of the graphics cards that the backend sees."""
    if backend == "torch":
        torch = importlib.import_module("torch")
        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if backend == "tensorflow":
        tf = importlib.import_module("tensorflow")
        return [each.name for each in tf.config.list_physical_devices("GPU")]
    jax = importlib.import_module("jax")
    return [str(each) for each in jax.devices() if each.platform != "cpu"]


def _commit() -> str | None:
    """Return the commit of the code, with a `+` where files differ from it; None without git."""
    here = Path(__file__).parent
    try:
        said = [
            subprocess.run(
                ["git", "-C", str(here), *arguments],  # noqa: S607 - the one on PATH
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            ).stdout.strip()
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        ]  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return said[0] + ("+" if said[1] else "")
