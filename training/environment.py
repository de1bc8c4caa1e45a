"""Finds or makes the Python environment in which the detector's training tool runs.

The tool and torch are gigabytes and AGPL-3.0, so they stay out of the project's environment.

`python -m training.environment` makes one in `runs/torch-venv` and says first what it downloads.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

VARIABLE = "SECONDLOOK_TORCH_PYTHON"
"""Names an interpreter that has the tool already."""
ROOT = Path(__file__).parent.parent
MADE = ROOT / "runs/torch-venv"
_REQUIREMENTS = ROOT / "requirements/detector.txt"
_TOOLS = ROOT / "requirements/detector-tools.txt"
_NOTICE = """\
This makes {folder} (6 GB on disk) and downloads about 3 GB from the package index of your pip:
  torch with CUDA, and what the training tools need ({requirements})
  yolov5 and ultralytics, both AGPL-3.0, run as programs of their own ({tools})
Weights trained with these tools carry AGPL-3.0; see model_repository/LICENSE.md.
An environment that you have already: set {variable} to its python instead."""

_TELL = """
import json, platform
from importlib import metadata
packages = "yolov5", "ultralytics", "torch", "torchvision", "numpy", "onnx"
installed = {each.name for each in metadata.distributions()}
versions = {name: metadata.version(name) for name in packages if name in installed}
cards = []
if "torch" in versions:
    import torch
    cards = [torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())]
print(json.dumps({"python": platform.python_version(), "versions": versions,
                  "accelerators": cards}))
"""


class TrainingError(Exception):
    """Training cannot go on; the message says what to do."""


def ask(python: Path, package: str) -> str:
    """Return where an interpreter would load a package from, without importing it.

    Raises:
        TrainingError: It does not have it.
    """
    code = (f"import importlib.util as u; s = u.find_spec({package!r}); "
            "print(s.origin if s else '')")  # fmt: skip
    try:
        found = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise TrainingError(f"{python} cannot be run: correct {VARIABLE} ({error})") from error
    if not found:
        raise TrainingError(
            f"{python} has no {package}: `python -m training.environment` makes an environment "
            f"that has it (about 3 GB), or set {VARIABLE} to an interpreter that has it"
        )
    return found


def told(python: Path) -> dict[str, Any]:
    """Return an interpreter's `python`, the tools' `versions` and its `accelerators`, by name.

    Raises:
        TrainingError: It cannot import torch.
    """
    done = subprocess.run(
        [str(python), "-c", _TELL], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise TrainingError(f"{python} cannot import torch: make it anew ({said[-1]})")
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def interpreter(package: str = "yolov5") -> Path:
    """Return the interpreter for the tool: the named one, this one, or the one made here.

    Raises:
        TrainingError: None has the package.
    """
    named = os.environ.get(VARIABLE)
    if named:
        chosen = Path(named)
    elif importlib.util.find_spec(package):
        chosen = Path(sys.executable)
    else:
        chosen = MADE / "bin/python" if MADE.exists() else Path(sys.executable)
    ask(chosen, package)
    return chosen


def make(folder: Path) -> Path:
    """Make an environment with torch and the tools, and return its interpreter.

    Raises:
        TrainingError: A package could not be had.
    """
    click.echo(_NOTICE.format(folder=folder, requirements=_REQUIREMENTS.relative_to(ROOT),
                              tools=_TOOLS.relative_to(ROOT), variable=VARIABLE))  # fmt: skip
    python = folder / "bin/python"
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*pip, "-r", str(_REQUIREMENTS)], check=True)
        # Without what they ask for: clients of services, and another OpenCV beside ours.
        subprocess.run([*pip, "--no-deps", "-r", str(_TOOLS)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise TrainingError(f"{folder} could not be made: see the output above") from error
    return python


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=MADE, help="Where to make it.")
def main(out: Path) -> None:
    """Make the environment for the detector's training; says what it downloads first."""
    try:
        click.echo(f"ready: {make(out)}")
    except TrainingError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
