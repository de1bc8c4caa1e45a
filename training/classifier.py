"""Trains the demo classifier: EfficientNet-B0 in Keras, from scratch, on class folders of crops.

Written for TensorFlow, whose SavedModel and ONNX it exports; training also runs on Keras's other
backends (`KERAS_BACKEND=torch`).

`python -m training.classifier train --crops runs/cards/crops --out runs/classifier`
`python -m training.classifier export --out runs/classifier`
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from training.cards.cutting import CLASSES, SIDE
from training.crops import Images, Indices, batches, load

Floats = npt.NDArray[np.float32]
Module = Any
"""Keras itself: it is chosen and imported at run time, and carries no types."""
Model = Any
"""A Keras model."""
Tensor = Any

WEIGHTS = "weights.npz"
GUNS = (0, 1)
"""Indices of the labels that alert, for the report."""
CONFIRM_SCORE = 0.8
_EXPORT_ERROR = 1e-4
_JUDGED_STRETCH = 3
"""The first stretches may still wait for something."""


def build(keras: Module, *, side: int = SIDE) -> Model:
    """Return EfficientNet-B0 that takes RGB 0..255 NHWC and answers logits."""
    return keras.applications.EfficientNetB0(
        weights=None,
        classes=len(CLASSES),
        input_shape=(side, side, 3),
        classifier_activation=None,
    )


def softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def temperature(logits: Floats, truth: Indices) -> float:
    """Return the divisor of the logits that makes the scores most probable.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """
    choices = np.exp(np.linspace(np.log(0.3), np.log(4.0), 120))
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits / t)[rows, truth] + 1e-9).mean() for t in choices]
    return float(choices[int(np.argmin(losses))])


def report(scores: Floats, truth: Indices) -> dict[str, Any]:
    """Return what the scores are worth: accuracy, the confusion matrix, guns found and invented."""
    best = scores.argmax(axis=1)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), int)
    np.add.at(confusion, (truth, best), 1)
    confirmed = np.isin(best, GUNS) & (scores.max(axis=1) >= CONFIRM_SCORE)
    gun = np.isin(truth, GUNS)
    return {
        "crops": len(truth),
        "accuracy": round(float((best == truth).mean()), 4),
        "guns_confirmed": round(float((confirmed & (best == truth))[gun].mean()), 4),
        "others_confirmed": round(float(confirmed[~gun].mean()), 5),
        "confusion": confusion.tolist(),
    }


class Pace:
    """Learning rate and end of a training that is limited by time, not by epochs."""

    rate = 2e-3

    def __init__(self, until: float, least: float) -> None:
        self._started = self._last = time.monotonic()
        self._until, self._least = until, least
        self._stretches = 0

    def _part(self) -> float:
        whole = max(self._until - self._started, 1.0)
        return min((time.monotonic() - self._started) / whole, 1.0)

    def at(self, epoch: int, _: float) -> float:
        """Return the learning rate: a short rise, then a cosine over the time."""
        warm = min((epoch + 1) / 4, 1.0)
        return float(max(self.rate * warm * 0.5 * (1 + np.cos(np.pi * self._part())), 1e-6))

    def over(self) -> bool:
        """Return whether the time is over."""
        return self._part() >= 1.0

    def noted(self, crops: int, logs: dict[str, float]) -> str:
        """Return a line about the stretch that just ended.

        Raises:
            click.ClickException: It was slower than the least that is wanted.
        """
        now = time.monotonic()
        speed, self._last = crops / (now - self._last), now
        self._stretches += 1
        if self._stretches == _JUDGED_STRETCH and speed < self._least:
            raise click.ClickException(f"only {speed:.0f} crops/s: try another KERAS_BACKEND")
        figures = " ".join(f"{name} {value:.4f}" for name, value in logs.items())
        return f"{now - self._started:.0f} s, {speed:.0f} crops/s: {figures}"


def _prepare(keras: Module, model: Model, size: int) -> None:
    """Compile the model, in both senses: some backends take minutes for their first step."""
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-6, weight_decay=1e-4, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    grey = np.full((size, SIDE, SIDE, 3), 128, np.uint8)
    nothing = ((grey, np.zeros(size, np.int64)) for _ in range(2))
    model.fit(nothing, steps_per_epoch=1, epochs=1, shuffle=False, verbose=0)


def _fit(
    keras: Module, model: Model, train: tuple[Images, Indices], pace: Pace, out: Path, *, size: int,
    stretch: int,
) -> None:  # fmt: skip
    """Train all layers until the time is over; keep the weights every few stretches."""

    class Report(keras.callbacks.Callback):  # type: ignore[misc] # keras is chosen at run time
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            click.echo(pace.noted(stretch * size, logs or {}))
            self.model.stop_training = pace.over()
            if epoch % 5 == 0:
                save(self.model, out)

    model.fit(
        batches(*train, size, seed=1),
        steps_per_epoch=stretch,
        epochs=100_000,
        shuffle=False,
        callbacks=[keras.callbacks.LearningRateScheduler(pace.at), Report()],
        verbose=0,
    )
    save(model, out)


def save(model: Model, out: Path) -> None:
    """Write the weights in order, as float32; a stop in between leaves the older ones."""
    values: dict[str, Any] = {
        f"{i:04d}": np.asarray(w, np.float32) for i, w in enumerate(model.get_weights())
    }
    part = out / "part.npz"
    np.savez_compressed(part, **values)
    part.replace(out / WEIGHTS)


def restore(model: Model, path: Path) -> None:
    """Set the weights that `save` wrote."""
    with np.load(path) as values:
        model.set_weights([values[name] for name in sorted(values.files)])


_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(exists=True, path_type=Path)


@click.group()
def main() -> None:
    """Train and export the demo classifier."""


@main.command()
@click.option("--crops", type=_PATH, required=True, help="Class folders.")
@click.option("--out", type=_PATH, default=Path("runs/classifier"))
@click.option("--minutes", default=6.0, show_default=True, help="In all.")
@click.option("--batch", default=256, show_default=True)
@click.option("--stretch", default=50, show_default=True, help="Batches between two reports.")
@click.option("--start", type=_EXISTING, help="Weights to go on from.")
@click.option("--least", default=0.0, help="Give up below this many crops per second.")
@click.option("--mixed", is_flag=True, help="bfloat16 arithmetic, for GPUs that have it.")
@click.option("--wait-for", type=_PATH, help="Prepare at once, but load crops when this exists.")
def train(
    *,
    crops: Path,
    out: Path,
    minutes: float,
    batch: int,
    stretch: int,
    start: Path | None,
    least: float,
    mixed: bool,
    wait_for: Path | None,
) -> None:
    """Train for some minutes and write the weights."""
    until = time.monotonic() + minutes * 60
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import keras  # noqa: PLC0415 - takes seconds, and needs the line above

    out.mkdir(parents=True, exist_ok=True)
    if mixed:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build(keras)
    if start:
        restore(model, start)
    _prepare(keras, model, batch)
    click.echo(f"prepared, {until - time.monotonic():.0f} s left")
    while wait_for and not wait_for.exists():
        time.sleep(0.5)
    images, truth = load(crops)
    click.echo(f"{len(truth)} crops: {np.bincount(truth).tolist()}")
    _fit(keras, model, (images, truth), Pace(until, least), out, size=batch, stretch=stretch)


@main.command()
@click.option("--crops", type=_EXISTING, required=True, help="Class folders no training saw.")
@click.option("--out", type=_EXISTING, default=Path("runs/classifier"))
@click.option("--at-most", default=2000, show_default=True, help="Crops to judge.")
def judge(crops: Path, out: Path, at_most: int) -> None:
    """Calibrate on one half of the crops and report on the other."""
    import keras  # noqa: PLC0415 - takes seconds

    model = build(keras)
    restore(model, out / WEIGHTS)
    images, truth = load(crops)
    chosen = np.random.default_rng(0).permutation(len(truth))[:at_most]
    truth = truth[chosen]
    logits = np.asarray(model.predict(images[chosen], batch_size=64, verbose=0), np.float32)
    half = len(truth) // 2
    divisor = temperature(logits[:half], truth[:half])
    result = {"temperature": divisor, **report(softmax(logits[half:] / divisor), truth[half:])}
    (out / "report.json").write_text(json.dumps(result, indent=2) + "\n")
    click.echo(json.dumps(result))


@main.command()
@click.option(
    "--out", type=click.Path(exists=True, path_type=Path), default=Path("runs/classifier")
)
@click.option("--opset", default=17, show_default=True)
def export(out: Path, opset: int) -> None:
    """Write `saved_model` and `classifier.onnx`: FP32 RGB 0..255 `images` to `scores`."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras  # noqa: PLC0415 - see above
    import tensorflow as tf  # noqa: PLC0415 - only here

    model = build(keras)
    restore(model, out / WEIGHTS)
    divisor = json.loads((out / "report.json").read_text())["temperature"]
    spec = tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="images")

    def serve(images: Tensor) -> dict[str, Tensor]:
        return {"scores": tf.nn.softmax(model(images, training=False) / divisor)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=[spec])
    archive.write_out(str(out / "saved_model"))
    # From a SavedModel: converting the function itself turns constants of the graph into inputs.
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(out / "saved_model"),
               "--opset", str(opset), "--output", str(out / "classifier.onnx")]  # fmt: skip
    subprocess.run(command, check=True)
    _check(model, divisor, out / "classifier.onnx")


def _check(model: Model, divisor: float, exported: Path) -> None:
    import onnxruntime  # noqa: PLC0415 - only here

    images = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)
    logits = np.asarray(model.predict(images, verbose=0), np.float32)
    expected = softmax(logits / divisor)
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]
    if names != ["images"]:
        raise click.ClickException(f"the export has the inputs {names}, not only images")
    (scores,) = session.run(["scores"], {"images": images})
    off = float(np.abs(scores - expected).max())
    if off > _EXPORT_ERROR:
        raise click.ClickException(f"the export's scores are {off:.1e} off Keras's")
    click.echo(f"{exported}: scores within {off:.1e} of Keras's")


if __name__ == "__main__":
    main()
