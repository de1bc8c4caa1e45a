"""Opens what a user exported: an ONNX file, or a Keras file or SavedModel by way of TensorFlow."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import external_data_helper

from training.raw_models import OPSET, ExportError, first_line

KERAS = (".keras", ".h5", ".hdf5")
_ADVICE = {
    ".pt": "a PyTorch checkpoint: export it first (yolo export model={0} format=onnx; YOLOv5: "
    "python export.py --weights {0} --include onnx)",
    ".pth": "a PyTorch checkpoint: export it first with torch.onnx.export",
    ".engine": "a TensorRT engine, which fits one device: give the ONNX file it was built from",
    ".plan": "a TensorRT engine, which fits one device: give the ONNX file it was built from",
    ".tflite": "a TFLite file: give the SavedModel or the ONNX file it was made from",
}
_CONVERSION_S = 900.0


@dataclass(frozen=True, slots=True)
class Source:
    """An exported model, opened."""

    path: Path
    """As the user named it."""
    sha256: str
    """Of the file; of a folder, of all its files in order of their names."""
    model: onnx.ModelProto
    saved_model: Path | None = None
    """Where its SavedModel is, if it has one."""

    def saved_answers(self, pictures: NDArray[np.float32], folder: Path) -> NDArray[np.float32]:
        """Return what the SavedModel itself says of pictures [n, height, width, 3].

        Raises:
            ExportError: It failed.
        """
        np.save(folder / "in.npy", pictures)
        paths = [str(self.saved_model), str(folder / "in.npy"), str(folder / "out.npy")]
        _run(["training.tensorflow_models", "answer", *paths], "the SavedModel cannot be asked")
        answers: NDArray[np.float32] = np.load(folder / "out.npy")
        return answers


def open_source(path: Path, folder: Path) -> Source:
    """Open an exported model.

    Args:
        path: The file, or the folder of a SavedModel.
        folder: Where conversions may write; must outlive the result.

    Raises:
        ExportError: There is no such model, or it cannot be read or converted.
    """
    if not path.exists():
        raise ExportError(f"there is no {path}")
    if advice := _ADVICE.get(path.suffix.lower()):
        raise ExportError(f"{path} is {advice.format(path.name)}")
    if path.is_dir() or path.suffix.lower() in KERAS:
        return _converted(path, folder)
    return Source(path, _sha256(path), read_onnx(path))


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return a model with all its weights.

    Raises:
        ExportError: The file is no ONNX model, or weights that it keeps elsewhere are missing.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.graph.node:
        raise ExportError(
            f"{path} is not an ONNX file: give an .onnx, .keras or .h5 file, or the folder of a "
            "SavedModel"
        )
    elsewhere = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if missing := sorted(name for name in elsewhere if not (path.parent / name).is_file()):
        raise ExportError(
            f"the weights of {path.name} are in {', '.join(missing)}, which is not beside it: "
            "copy both, or export into one file"
        )
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except Exception as error:  # the checker's and the file system's errors
        raise ExportError(f"{path} is damaged: {first_line(error)}; export it again") from error
    return model


def _converted(path: Path, folder: Path) -> Source:
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise ExportError(
            f"{path} is a folder without saved_model.pb, so no SavedModel: give the folder that "
            "model.export() wrote, or a file"
        )
    needed = ("tensorflow", "tf2onnx")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise ExportError(
            f"{path} needs {' and '.join(missing)}, which {'are' if missing[1:] else 'is'} not "
            f"installed: {sys.executable} -m pip install tensorflow-cpu tf2onnx (or give an "
            "ONNX file)"
        )
    saved = path
    if path.is_file():
        saved = folder / "saved_model"
        arguments = ["save", str(path), str(saved)]
        _run(["training.tensorflow_models", *arguments], f"{path} cannot be read by Keras")
    target = folder / "converted.onnx"
    options = ["--saved-model", str(saved), "--output", str(target), "--opset", str(OPSET)]
    _run(["tf2onnx.convert", *options], f"{path} cannot be converted by tf2onnx")
    return Source(path, _sha256(path), read_onnx(target), saved)


def _run(module: list[str], sentence: str) -> None:
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    env["KERAS_BACKEND"] = "tensorflow"
    try:
        done = subprocess.run(
            [sys.executable, "-m", *module], env=env, check=False, capture_output=True,
            text=True, timeout=_CONVERSION_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ExportError(f"{sentence}: it took more than {_CONVERSION_S:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise ExportError(f"{sentence}: {said[-1].strip()}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
