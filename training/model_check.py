"""Runs a model's weights on the picture that every model is asked at the start.

`secondlook model check` runs it as a process: `python -m training.model_check FOLDER`.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console

from secondlook.adapters.model_config import read_config
from secondlook.errors import ModelMismatch
from secondlook.model_fit import known_images, spec_of, wrong_with
from secondlook.model_spec import ModelSpec
from training.proving import ask, session
from training.raw_models import NEWEST_OPSET, ExportError, opset_of
from training.sources import read_onnx


def check(folder: Path) -> str:
    """Return what was found in words.

    Raises:
        ExportError: The weights cannot be run, or answer wrongly.
        ModelMismatch: The configuration cannot be used.
    """
    config = read_config(folder / "config.pbtxt")
    said = config.get("parameters", {}).get("file", {})
    versions = [path for path in folder.iterdir() if path.name.isdecimal()]
    version = max(versions, key=lambda path: int(path.name))
    spec = spec_of(config, version=version.name)
    model = read_onnx(version / str(said.get("string_value", "model.onnx")))
    opset = opset_of(model)
    if opset > NEWEST_OPSET:
        raise ExportError(f"it uses opset {opset}, newer than Triton's backends read: add it again")
    running = session(model)
    _compare_names(spec, running)
    batches = (1, 2) if spec.max_batch_size > 1 else (1,)
    for count in batches:
        try:
            outputs = ask(running, np.ascontiguousarray(known_images(spec, count)))
        except Exception as error:  # onnxruntime's exceptions share no class but this one
            first = str(error).split("\n", 1)[0]
            raise ExportError(f"it fails with {count} known pictures: {first}") from error
        if wrong := wrong_with(spec, outputs, count):
            raise ExportError(wrong)
    return f"its weights answer a known picture (opset {opset}, up to {spec.max_batch_size} a call)"


def _compare_names(spec: ModelSpec, running: onnxruntime.InferenceSession) -> None:
    inputs = [value.name for value in running.get_inputs()]
    outputs = [value.name for value in running.get_outputs()]
    wanted = [tensor.name for tensor in spec.outputs]
    if inputs != [spec.input.name] or set(wanted) - set(outputs):
        raise ExportError(
            f"config.pbtxt names the input {spec.input.name} and the outputs {', '.join(wanted)}, "
            f"the file has {', '.join(inputs)} and {', '.join(outputs)}: add the model again"
        )


def main() -> int:
    """Check the model in the folder that the first argument names; return the exit status."""
    folder = Path(sys.argv[1])
    console = Console()
    try:
        sentence = check(folder)
    except (ExportError, ModelMismatch) as error:
        console.print("[red]wrong[/]", end="  ")
        console.print(f"{folder.name}: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print("[green]ok[/]   ", end="  ")
    console.print(f"{folder.name}: {sentence}", markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
