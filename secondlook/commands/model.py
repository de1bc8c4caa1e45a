"""`secondlook model`: the models of a repository, and how one's own come into it."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from secondlook.commands.lines import count
from secondlook.commands.model_add import command as add
from secondlook.commands.model_check import command as check
from secondlook.commands.model_options import CONFIG, REPOSITORY, chosen, repository_of
from secondlook.commands.model_tune import command as tune
from secondlook.config import Config
from secondlook.config_file import load
from secondlook.errors import ConfigError, InstallError, ModelMismatch
from secondlook.local.repository import Model, kind_of, models_in

SHOWN = 8
"""Labels of a model that are listed."""


@click.group(name="model")
def command() -> None:
    """Bring your own models: add, list, check, tune, remove.

    \b
      secondlook model add best.onnx --name my_detector
      secondlook model list
      secondlook model check my_detector --serve
      secondlook model tune my_detector
      secondlook model remove my_detector
    """


command.add_command(add)


@command.command("list")
@REPOSITORY
@CONFIG
def list_command(*, repository: Path | None, config_path: Path) -> None:
    """Show the models of a repository, and which of them the configuration uses."""
    folder = repository_of(repository)
    used, note = _used(config_path)
    models = models_in(folder)
    console = Console()
    table = Table(title=str(folder), title_justify="left", box=None, pad_edge=False)
    for column in ("model", "kind", "labels", "input", "answers", "MB", "in use"):
        number = column in ("labels", "MB")
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for model in models:
        table.add_row(*_row(model, used))
    console.print(table)
    for model in models:
        line = f"  {model.name}: {_said(model)}; licence: {model.licence}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    said = f"{count(models, 'model')}. {note}"
    console.print(said, highlight=False, markup=False, soft_wrap=True)


def _row(model: Model, used: Mapping[str, str]) -> Iterator[str]:
    yield model.name
    try:
        spec = model.spec()
    except ModelMismatch:
        yield from ("[red]unusable[/]", "", "see model check", "")
    else:
        yield kind_of(spec)
        yield str(len(spec.parameters.labels or ()))
        height, width = spec.input_size
        yield f"{spec.input.datatype} {width}x{height}"
        yield spec.parameters.output or ""
    yield f"{model.size / 1e6:.1f}"
    yield "yes" if model.name in used else ""


def _said(model: Model) -> str:
    """Return a model's labels, the first of many, and the platforms that it has files for."""
    try:
        labels = model.spec().parameters.labels or ()
        platforms = " ".join(model.platforms) or "no platform"
    except ModelMismatch as error:
        return str(error)
    some = ", ".join(labels[:SHOWN]) + (", ..." if len(labels) > SHOWN else "")
    return f"{some}; for {platforms}"


def _used(config_path: Path) -> tuple[dict[str, str], str]:
    """Return what the configuration uses each model for, and a sentence about it."""
    try:
        config = load(config_path) if config_path.is_file() else None
    except ConfigError:
        return {}, f"{config_path} is not valid: secondlook check says why."
    if config is None:
        return {}, f"There is no {config_path}; without one, yolov5 and efficientnet_b0 are used."
    return roles(config), f"Used as in {config_path}."


def roles(config: Config) -> dict[str, str]:
    """Return what a configuration uses each model for."""
    return {config.detector.model: "detector", config.classifier.model: "classifier"}


command.add_command(check)
command.add_command(tune)


@command.command("remove")
@click.argument("name")
@REPOSITORY
@CONFIG
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Even if the configuration uses it.")
def remove_command(
    *, name: str, repository: Path | None, config_path: Path, yes: bool, force: bool
) -> None:
    """Delete a model's folder with its weights.

    Refuses a model that the configuration uses, unless --force is given.
    """
    folder = repository_of(repository)
    model = chosen(folder, name)
    used, _ = _used(config_path)
    if model.name in used and not force:
        raise InstallError(
            f"{config_path} uses {model.name} as its {used[model.name]}: name another model there "
            "first, or say --force"
        )
    size = f"{model.size / 1e6:.1f} MB"
    if not yes:
        click.confirm(f"Delete {model.folder} ({size})?", abort=True)
    try:
        if model.folder.is_symlink():
            model.folder.unlink()
        else:
            shutil.rmtree(model.folder)
    except OSError as error:
        raise InstallError(f"{model.folder} cannot be deleted: {error.strerror}") from None
    Console().print(f"removed {model.folder} ({size})", highlight=False, markup=False)
