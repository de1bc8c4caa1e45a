"""Exports a trained classifier to SavedModel and ONNX, and refuses what answers otherwise.

`python -m training.classifier export --out runs/classifier`
"""

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from training import runs
from training.calibration import Floats, softmax
from training.crops import Images, read
from training.network import WEIGHTS, Model, Module, build, restore

SAVED_MODEL, ONNX = "saved_model", "classifier.onnx"
PROOF = "proof.npz"
"""`images` (n, side, side, 3) uint8 RGB and what Keras makes of them: `scores` (n, labels)."""
MOST_OFF = 1e-4
"""Scores may differ from Keras's by so much."""
_PICTURES = 10
Answers = Callable[[Floats], Floats]


class ExportRefused(Exception):
    """The exported model is not the trained one; the message says in what."""


def trial_pictures(side: int, crops: Images | None) -> Images:
    """Return the pictures to compare on: some real crops, and as many of noise, (n, s, s, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (_PICTURES, side, side, 3), np.uint8)
    return noise if crops is None else np.concatenate([crops, noise])


def compare(name: str, found: Floats, expected: Floats) -> float:
    """Return the largest difference of two sets of scores.

    Raises:
        ExportRefused: It is too large, or the shapes differ.
    """
    if found.shape != expected.shape:
        raise ExportRefused(f"{name} answers {found.shape} where Keras answers {expected.shape}")
    off = float(np.abs(found - expected).max())
    if not off <= MOST_OFF:
        raise ExportRefused(f"the scores of {name} are {off:.1e} off Keras's, more than {MOST_OFF}")
    return off


def only_images(name: str, names: list[str]) -> None:
    """Refuse a graph with other inputs than the pictures.

    Raises:
        ExportRefused: Constants of the graph have become inputs, as some converters do.
    """
    if names != ["images"]:
        raise ExportRefused(f"{name} has the inputs {', '.join(names)}, not images alone")


def write(keras: Module, model: Model, divisor: float, folder: Path, opset: int) -> None:
    """Write both forms into a folder: `images` FP32 [n, side, side, 3] RGB 0..255 to `scores`."""
    tf = importlib.import_module("tensorflow")
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="images")

    def serve(images: Any) -> dict[str, Any]:  # noqa: ANN401 - TensorFlow carries no types
        return {"scores": tf.nn.softmax(model(images, training=False) / divisor)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=[spec])
    archive.write_out(str(folder / SAVED_MODEL), verbose=False)
    # From a SavedModel: converting the function itself turns constants of the graph into inputs.
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder / SAVED_MODEL),
               "--opset", str(opset), "--output", str(folder / ONNX)]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ExportRefused(f"tf2onnx failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def saved_model_answers(folder: Path) -> Answers:
    """Return what answers as the SavedModel does."""
    tf = importlib.import_module("tensorflow")
    loaded = tf.saved_model.load(str(folder / SAVED_MODEL))
    signature = loaded.signatures["serving_default"]
    only_images("the SavedModel", list(signature.structured_input_signature[1]))
    return lambda images: np.asarray(signature(images=tf.constant(images))["scores"])


def onnx_answers(folder: Path) -> Answers:
    """Return what answers as the ONNX file does."""
    import onnxruntime  # noqa: PLC0415 - an extra that only export needs

    session = onnxruntime.InferenceSession(str(folder / ONNX), providers=["CPUExecutionProvider"])
    only_images("the ONNX file", [tensor.name for tensor in session.get_inputs()])
    return lambda images: np.asarray(session.run(["scores"], {"images": images})[0])


def prove(model: Model, divisor: float, folder: Path, images: Images) -> dict[str, float]:
    """Return how far each exported form is off Keras, at most, and write `PROOF`.

    Raises:
        ExportRefused: It is too far.
    """
    pictures = images.astype(np.float32)
    expected = softmax(np.asarray(model(pictures, training=False), np.float32) / divisor)
    np.savez_compressed(folder / PROOF, images=images, scores=expected)
    off = {}
    for name, answers in (
        ("the SavedModel", saved_model_answers(folder)), ("the ONNX file", onnx_answers(folder)),
    ):  # fmt: skip
        off[name] = compare(name, answers(pictures), expected)
    return off


def export(keras: Module, run: Path, crops: Path | None, opset: int) -> None:
    """Write the exported forms into a run's folder, if they answer as the weights do.

    Raises:
        ExportRefused: They do not; nothing is written.
    """
    config, divisor = runs.config(run), runs.temperature(run)
    labels, side = config["labels"], config["side"]
    model = build(keras, len(labels), side=side)
    restore(model, run / WEIGHTS)
    real = None
    if crops is not None:
        real = read(crops, labels, side).at_most(_PICTURES).images
    with tempfile.TemporaryDirectory(prefix="exporting-", dir=run) as building:
        write(keras, model, divisor, Path(building), opset)
        off = prove(model, divisor, Path(building), trial_pictures(side, real))
        shutil.rmtree(run / SAVED_MODEL, ignore_errors=True)
        for name in (SAVED_MODEL, ONNX, PROOF):
            (Path(building) / name).replace(run / name)
    (run / "labels.txt").write_text("\n".join(labels) + "\n")
    for name, most in off.items():
        click.echo(f"{name}: scores within {most:.1e} of Keras's")
    click.echo(f"exported: {run / SAVED_MODEL} and {run / ONNX}")
