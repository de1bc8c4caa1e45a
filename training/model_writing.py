"""Writes a model's folder beside its place, reads it back, and moves it in with one rename."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from secondlook.adapters.model_config import read_config
from secondlook.errors import ModelMismatch
from secondlook.model_fit import spec_of
from training.model_files import (
    ONNX,
    PYTHON,
    TENSORFLOW,
    TENSORRT,
    TORCH,
    Form,
    card_text,
    config_text,
)
from training.raw_models import ExportError

RUNNERS = tuple(
    Path(__file__).parents[1] / "model_repository" / "yolov5" / "1" / name
    for name in ("model.py", "model_torch.py", "torch_graph.py")
)
"""Every model folder carries the same copies."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All that goes into a model's folder."""

    name: str
    model: onnx.ModelProto
    form: Form
    facts: Sequence[tuple[str, str]]
    """For the card."""
    licence: str
    saved_model: Path | None = None
    """The same model for images with the TensorFlow backend, and its form."""
    saved_form: Form | None = None


def write_folder(contents: Contents, repository: Path, *, replace: bool) -> Path:
    """Put a model into a repository; return its folder.

    What stands under the model's name is whole at every moment: the old folder, or the new one.

    Raises:
        ExportError: It cannot be written, or what was written cannot be read back.
    """
    target = repository / contents.name
    try:
        repository.mkdir(parents=True, exist_ok=True)
        # Beside its place: a rename works only within a file system.
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=repository) as folder:
            made = Path(folder) / contents.name
            _write(contents, made)
            _read_back(made)
            if target.exists() and replace:
                target.rename(Path(folder) / "replaced")
            made.rename(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(f"{target} cannot be written: {reason}") from error
    return target


def _write(contents: Contents, folder: Path) -> None:
    version = folder / "1"
    version.mkdir(parents=True)
    folder.chmod(0o755)  # the temporary folder is private, and Triton may be somebody else
    labels = contents.form.parameters.labels or ()
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), "utf-8")
    platforms = (PYTHON, ONNX, TENSORRT, TORCH)
    texts = {p.name: config_text(contents.name, p, contents.form) for p in platforms}
    if contents.saved_model is not None and contents.saved_form is not None:
        shutil.copytree(contents.saved_model, version / "model.savedmodel")
        texts["tensorflow"] = config_text(contents.name, TENSORFLOW, contents.saved_form)
    (folder / "configs").mkdir()
    for name, text in texts.items():
        (folder / "configs" / f"{name}.pbtxt").write_text(text, "utf-8")
    (folder / "config.pbtxt").write_text(texts["python"], "utf-8")
    (folder / "card.md").write_text(
        card_text(contents.name, contents.facts, contents.licence), "utf-8"
    )
    onnx.save(contents.model, version / "model.onnx")
    for runner in RUNNERS:
        shutil.copyfile(runner, version / runner.name)


def _read_back(folder: Path) -> None:
    for path in (folder / "config.pbtxt", *(folder / "configs").iterdir()):
        try:
            spec_of(read_config(path), version="1")
        except ModelMismatch as error:
            raise ExportError(f"{path.name} came out wrong: {error}") from error
