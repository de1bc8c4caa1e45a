"""Do Keras, the exported forms and Triton give the same scores?

Takes the folder of a training that was exported with real crops, serves each form through the
embedded Triton and compares with the scores that Keras gave (proof.npz). Prints the largest
difference of each; exits 1 if one is larger than 1e-4.

    python -m training.classifier export --out runs/classifier --crops crops
    python -m benchmarks.classifier_parity runs/classifier

A SavedModel is served with TensorFlow, which is installed for it (about 400 MB, once).
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from secondlook.adapters.triton import Triton
from secondlook.local import tritonserver
from training.classifier_export import MOST_OFF, ONNX, PROOF, SAVED_MODEL
from training.export import fuse_classifier

RUNNER = Path(__file__).parent.parent / "model_repository" / "efficientnet_b0" / "1" / "model.py"
FORMS = {"fused": "UINT8", "onnx": "FP32", "saved_model": "FP32"}
"""What is served, and the type of its input."""
CONFIG = """
backend: "python"
max_batch_size: 16
input [ {{ name: "images" data_type: TYPE_{datatype} dims: [ {side}, {side}, 3 ] }} ]
output [ {{ name: "scores" data_type: TYPE_FP32 dims: [ {count} ] }} ]
parameters {{ key: "labels" value: {{ string_value: "{labels}" }} }}
parameters {{ key: "output" value: {{ string_value: "probabilities" }} }}
parameters {{ key: "channels" value: {{ string_value: "rgb" }} }}
parameters {{ key: "value_range" value: {{ string_value: "0..255" }} }}
parameters {{ key: "resize" value: {{ string_value: "stretch" }} }}
parameters {{ key: "interpolation" value: {{ string_value: "linear" }} }}
parameters {{ key: "layout" value: {{ string_value: "nhwc" }} }}
"""


def add(repository: Path, run: Path, form: str) -> None:
    """Write one form of a run's model into a model repository, under the form's name."""
    config = json.loads((run / "config.json").read_text())
    labels = config["labels"]
    version = repository / form / "1"
    version.mkdir(parents=True)
    (repository / form / "config.pbtxt").write_text(
        CONFIG.format(
            datatype=FORMS[form], side=config["side"], count=len(labels), labels=",".join(labels)
        )
    )
    shutil.copy(RUNNER, version)
    if form == "saved_model":
        shutil.copytree(run / SAVED_MODEL, version / "model.savedmodel")
    elif form == "onnx":
        shutil.copy(run / ONNX, version / "model.onnx")
    else:
        onnx.save(fuse_classifier(onnx.load(run / ONNX)), version / "model.onnx")


def proof(run: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the pictures (n, side, side, 3) RGB and Keras's scores (n, labels)."""
    with np.load(run / PROOF) as held:
        return held["images"], held["scores"]


async def off_when_served(url: str, form: str, run: Path) -> float:
    """Return the largest difference of Triton's scores from Keras's."""
    images, expected = proof(run)
    found = []
    async with Triton(url, deadline_s=60.0) as triton:
        endpoint = await triton.model(form, answers="labels")
        for begin in range(0, len(images), endpoint.batch):
            some = images[begin : begin + endpoint.batch]
            async with endpoint.slot() as slot:
                slot.images[: len(some)] = some
                outputs = await endpoint.infer(slot, len(some))
            found.append(outputs["scores"].copy())
    return float(np.abs(np.concatenate(found) - expected).max())


def off_in_onnxruntime(run: Path) -> float:
    """Return the largest difference of the ONNX file's scores from Keras's."""
    images, expected = proof(run)
    session = onnxruntime.InferenceSession(str(run / ONNX), providers=["CPUExecutionProvider"])
    pictures: Any = images.astype(np.float32)
    (scores,) = session.run(["scores"], {"images": pictures})
    return float(np.abs(np.asarray(scores) - expected).max())


def main(run: Path) -> int:
    """Compare every form; return the exit status."""
    if not (run / PROOF).is_file():
        print(f"{run / PROOF} is missing: export the run first (see --help)", file=sys.stderr)
        return 2
    off = {"ONNX in onnxruntime": off_in_onnxruntime(run)}
    home = tritonserver.install(print, tensorflow=True)
    with tempfile.TemporaryDirectory(prefix="secondlook-parity-") as folder:
        repository = Path(folder) / "models"
        for form in FORMS:
            add(repository, run, form)
        with tritonserver.Server(home, repository, Path(folder) / "triton.log") as server:
            for form in FORMS:
                off[f"{form} in Triton"] = asyncio.run(off_when_served(server.url, form, run))
    print(f"largest difference from Keras over {len(proof(run)[0])} pictures, of scores 0..1:")
    for name, most in off.items():
        print(f"  {name:24} {most:.1e}{'' if most <= MOST_OFF else '  MISSED'}")
    print(f"target: at most {MOST_OFF}")
    return 0 if max(off.values()) <= MOST_OFF else 1


if __name__ == "__main__":
    _, *arguments = sys.argv
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(Path(arguments[0])))
