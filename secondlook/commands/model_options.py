"""What the commands about models share: their repository, and the processes that do the work."""

import asyncio
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Final

import click

from secondlook.commands import options
from secondlook.errors import InstallError
from secondlook.local.repository import Model, models_in
from secondlook.local.stack import OWN_MODELS

NEEDED: Final = ("onnx", "onnxruntime")
INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended."""

REPOSITORY = click.option(
    "--repository",
    "--models",
    "repository",
    type=click.Path(path_type=Path, file_okay=False),
    help="The model repository; default: SECONDLOOK_MODELS, or the project's own.",
)
CONFIG = options.CONFIG


def default_repository() -> Path:
    """Return the repository that counts where none is named."""
    return Path(os.environ.get("SECONDLOOK_MODELS") or OWN_MODELS)


def repository_of(given: Path | None) -> Path:
    """Return the repository that is meant.

    Raises:
        InstallError: It is not there.
    """
    folder = given or default_repository()
    if not folder.is_dir():
        raise InstallError(f"there is no model repository at {folder}; model add makes one")
    return folder


def chosen(repository: Path, name: str) -> Model:
    """Return the model of that name.

    Raises:
        InstallError: There is none; the text names those that are there.
    """
    models = models_in(repository)
    for model in models:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in models) or "none"
    raise InstallError(f"there is no model {name} in {repository}; it has {known}")


def lacking() -> list[str]:
    """Return the libraries for models that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def require_libraries() -> None:
    """Make sure that models can be opened here.

    Raises:
        InstallError: Libraries are missing; the text says how to get them.
    """
    if missing := lacking():
        raise InstallError(
            f"this needs {' and '.join(missing)}: {sys.executable} -m pip install onnx onnxruntime"
        )


def run_training(module: str, *arguments: str) -> int:
    """Run a program of `training`, which prints for itself; return its exit status.

    Ctrl-C reaches it as one SIGINT, so that it can clean up.
    """
    status = options.run(_process([sys.executable, "-m", f"training.{module}", *arguments]))
    return INTERRUPTED if status is None else status


async def _process(argv: list[str]) -> int:
    process = await asyncio.create_subprocess_exec(*argv, start_new_session=True)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()
