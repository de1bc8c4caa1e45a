"""Trains a classifier on class folders of crops: EfficientNet-B0 in Keras.

Written for TensorFlow, whose SavedModel and ONNX it exports; training also runs on Keras's other
backends (`KERAS_BACKEND=torch`).

`python -m training.classifier train --crops crops --out runs/classifier`
`python -m training.classifier export --out runs/classifier`
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import rich.progress

from training import classifier_export, imagenet, runs
from training.crops import Crops, labels_in, read
from training.findings import of_balance, of_duplicates
from training.fitting import FROM_IMAGENET, FROM_NOTHING, Fit, Plan, Stage
from training.judging import judgement
from training.network import SIDE, WEIGHTS, Model, Module, build, restore, save
from training.splits import JUDGED, split
from training.torch_norm import fuse_norms


def keras_module(backend: str | None = None) -> Module:
    """Import and return Keras, which takes seconds.

    Raises:
        click.ClickException: It, or its backend, is not installed.
    """
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import keras  # noqa: PLC0415 - takes seconds, and needs the lines above
    except ImportError as error:
        raise click.ClickException(
            f"{error}: install TensorFlow ({sys.executable} -m pip install tensorflow), or set "
            "KERAS_BACKEND to torch or jax where that is installed"
        ) from error
    return keras


def _sides(crops: Crops, judge: Path | None, part: float) -> tuple[Crops, Crops]:
    """Return what trains and what judges."""
    if judge is not None:
        return crops, read(judge, crops.labels, crops.images.shape[1])
    train, rest = split([path.name for path in crops.paths], judged=part)
    return crops.of(train), crops.of(rest)


def _inspect(train: Crops, judge: Crops, *, duplicates: bool) -> None:
    """Say what there is and what speaks against it.

    Raises:
        click.ClickException: Something does that training cannot go on with.
    """
    for side, crops in (("train", train), ("judge", judge)):
        rows = (f"{name} {n['crops']} ({n['recordings']})" for name, n in crops.balance().items())
        click.echo(f"{side}: {len(crops)} crops (recordings): {', '.join(rows)}")
    found = of_balance(train, judge)
    if duplicates and not any(finding.fatal for finding in found):
        found += of_duplicates(train, judge)
    for finding in found:
        if not finding.fatal:
            click.echo(f"warning: {finding.text}", err=True)
    fatal = [finding.text for finding in found if finding.fatal]
    if fatal:
        raise click.ClickException("\n".join(fatal))


@contextmanager
def _progress() -> Iterator[tuple[Any, Any]]:
    """Show a bar with the time left; yield what to tell the part done, and what to tell lines."""
    columns = (
        rich.progress.TextColumn("training"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, transient=True) as bar:
        task = bar.add_task("training", total=1.0)
        # With a plain print each line is there at once, also in a file.
        say = bar.console.print if bar.console.is_terminal else click.echo
        yield lambda part: bar.update(task, completed=part), say


def _listed(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",")) if value else ()


_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(exists=True, path_type=Path)
_labels = click.option(
    "--labels", callback=_listed, help="a,b,c in the order of the scores; default: the folders' "
    "names, `empty` last.",
)  # fmt: skip
_alerting = click.option(
    "--alerting", callback=_listed, help="a,b: the labels that alert, for the report."
)


@click.group()
def main() -> None:
    """Train, judge and export a classifier."""


@main.command()
@click.option("--crops", type=_EXISTING, required=True,
              help="Class folders: LABEL/RECORDING__anything.jpg.")  # fmt: skip
@click.option("--judge", type=_EXISTING, help="Class folders that judge; default: a part of CROPS.")
@click.option(
    "--judged", default=JUDGED, show_default=True, help="The recordings' part that judges."
)
@click.option("--out", type=_PATH, help="Default: runs/<time>.")
@click.option("--minutes", type=float, help="In all; default 6, unless --epochs is given.")
@click.option("--epochs", type=float, help="Passes over the training crops.")
@click.option("--weights", default="none", show_default=True,
              help="none: from scratch, all layers. imagenet, or a .h5 or .keras file with its "
                   "weights: first the head, then the last blocks, BatchNorm frozen.")  # fmt: skip
@click.option("--start", type=_EXISTING, help="A weights.npz to go on from; all layers train.")
@_labels
@_alerting
@click.option("--batch", default=64, show_default=True)
@click.option("--stretch", default=50, show_default=True, help="Batches between two judgements.")
@click.option("--patience", default=12, show_default=True,
              help="Judgements without a better one that end a phase; 0: none does.")  # fmt: skip
@click.option("--rate", type=float, help="The highest learning rate, instead of the usual.")
@click.option("--side", default=SIDE, show_default=True, help="Pixels of the model's input.")
@click.option("--seed", default=1, show_default=True)
@click.option("--mixed", is_flag=True, help="bfloat16 arithmetic, for GPUs that have it.")
@click.option("--processes", default=0, show_default=True,
              help="Make batches in so many processes, for GPUs; 0: in threads.")  # fmt: skip
@click.option("--check/--no-check", default=True, help="Look for duplicates first.")
def train(
    *,
    crops: Path,
    judge: Path | None,
    judged: float,
    out: Path | None,
    minutes: float | None,
    epochs: float | None,
    weights: str,
    start: Path | None,
    labels: tuple[str, ...],
    alerting: tuple[str, ...],
    batch: int,
    stretch: int,
    patience: int,
    rate: float | None,
    side: int,
    seed: int,
    mixed: bool,
    processes: int,
    check: bool,
) -> None:
    """Train on class folders and write weights, metrics and what they came from."""
    began = time.monotonic()
    options = dict(click.get_current_context().params)
    if start and weights != "none":
        raise click.UsageError("--start goes on from its own weights: leave --weights out")
    labels = labels or labels_in(crops)
    if unknown := set(alerting) - set(labels):
        raise click.UsageError(f"--alerting: {', '.join(sorted(unknown))} is none of the labels")
    folder = runs.new_folder(out)
    trained, judging = _sides(read(crops, labels, side), judge, judged)
    _inspect(trained, judging, duplicates=check)
    keras = keras_module()
    keras.utils.set_random_seed(seed)
    if mixed:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = _begin(keras, labels, side, start, weights)
    stages = FROM_NOTHING if start or weights == "none" else FROM_IMAGENET
    if rate:
        stages = tuple(Stage(each.phase, rate, each.part) for each in stages)
    minutes = 6.0 if minutes is None and epochs is None else minutes
    seconds = None if minutes is None else began + minutes * 60 - time.monotonic()
    runs.write(folder, runs.CONFIG, {**options, "labels": labels, "alerting": alerting,
               "train": trained.balance(), "judge_crops": judging.balance()})  # fmt: skip
    runs.write(folder, runs.ENVIRONMENT, runs.environment(keras))
    plan = Plan(stages, seconds, epochs, batch, stretch, patience, seed, processes)
    fit = _fit(keras, model, plan, folder, (trained, judging), started=start is not None)
    _conclude(folder, model, judging, list(alerting), fit.history)


def _begin(
    keras: Module, labels: tuple[str, ...], side: int, start: Path | None, weights: str
) -> Model:
    """Return the model with the weights that the training starts from."""
    model = build(keras, len(labels), side=side)
    fuse_norms(keras, model)
    try:
        if start:
            restore(model, start)
        elif weights != "none":
            imagenet.start_from(keras, model, weights)
    except imagenet.NoWeights as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.ClickException(f"{start} does not fit {len(labels)} labels: {error}") from error
    return model


def _fit(
    keras: Module,
    model: Model,
    plan: Plan,
    folder: Path,
    sides: tuple[Crops, Crops],
    *,
    started: bool,
) -> Fit:
    """Train; an interruption ends the program, the weights kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _progress() as (shown, said):
        fit = Fit(keras, model, plan, folder, shown, said, started)
        try:
            fit.run(*sides)
        except KeyboardInterrupt:
            said(f"stopped: the best weights so far are {folder / WEIGHTS}; go on with --start, or "
                 "judge them with `python -m training.classifier judge`")  # fmt: skip
            sys.exit(130)
    return fit


def _conclude(
    folder: Path, model: Model, crops: Crops, alerting: list[str], history: list[dict[str, Any]]
) -> None:
    """Judge the weights, keep the result and say the most important of it."""
    save(model, folder)
    result = judgement(model, crops, alerting)
    runs.write(folder, runs.METRICS, {**result, "history": history})
    click.echo(
        f"{result['accuracy']:.1%} of {result['crops']} judging crops right, "
        f"temperature {result['temperature']:.2f}; all figures: {folder / runs.METRICS}"
    )
    if alerting:
        click.echo(
            f"confirmed: {result['alerting_confirmed']} of {result['alerting_crops']} that alert, "
            f"{result['others_confirmed']} of {result['other_crops']} others"
        )


@main.command()
@click.option("--crops", type=_EXISTING, required=True, help="Class folders no training saw.")
@click.option("--out", type=_EXISTING, required=True, help="The run's folder with weights.npz.")
@_labels
@_alerting
def judge(crops: Path, out: Path, labels: tuple[str, ...], alerting: tuple[str, ...]) -> None:
    """Calibrate on one half of the recordings, report on the other, write metrics.json."""
    config = runs.config(out, labels)
    keras = keras_module()
    model = build(keras, len(config["labels"]), side=config["side"])
    restore(model, out / WEIGHTS)
    _conclude(out, model, read(crops, config["labels"], config["side"]),
              list(alerting or config["alerting"]), [])  # fmt: skip


@main.command()
@click.option("--out", type=_EXISTING, required=True, help="The run's folder with weights.npz.")
@click.option(
    "--crops", type=_EXISTING, help="Class folders to prove the export on, besides noise."
)
@click.option("--opset", default=17, show_default=True)
def export(out: Path, crops: Path | None, opset: int) -> None:
    """Write `saved_model` and `classifier.onnx`: FP32 RGB 0..255 `images` to `scores`."""
    keras = keras_module("tensorflow")
    try:
        classifier_export.export(keras, out, crops, opset)
    except classifier_export.ExportRefused as error:
        raise click.ClickException(f"not exported: {error}") from error


if __name__ == "__main__":
    main()
