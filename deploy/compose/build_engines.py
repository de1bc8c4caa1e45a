"""Builds TensorRT engines of a model repository on the machine that will run them.

An engine fits one ONNX file, one version of TensorRT and one kind of GPU. What it was made of is
written beside it, and it is made again only when something of that has changed. Runs in NVIDIA's
Triton image, with nothing but the standard library of Python 3.10; `docker compose run --rm
build-engines` starts it.
"""

import argparse
import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

PLATFORM = "tensorrt"
PLAN, RECORD = "model.plan", "model.plan.json"
TRTEXEC_IN = ("/usr/src/tensorrt/bin", "/opt/tensorrt/bin", "/usr/local/tensorrt/bin")
WORKSPACE_MB = 1024
"""Scratch memory that TensorRT may try its kernels in: a board has 8 GB for everything."""
SAY_EVERY_S = 30.0


class BuildError(Exception):
    """Why there is no engine, in a sentence that says what to do."""


@dataclass(frozen=True)
class Recipe:
    """What an engine is made of; an engine of another recipe is stale."""

    onnx_sha256: str
    tensorrt: str
    gpu: str
    precision: str
    shapes: str
    """The smallest, usual and largest input, as trtexec takes them."""


@dataclass(frozen=True)
class Model:
    """A model that has a configuration for TensorRT."""

    folder: Path
    version: str
    """The folder of its newest version."""
    shapes: str

    @property
    def name(self) -> str:
        """Its name at Triton."""
        return self.folder.name

    @property
    def onnx(self) -> Path:
        """What its engine is made from."""
        return self.folder / self.version / "model.onnx"


def models_in(repository: Path, wanted: list[str]) -> list[Model]:
    """Return the models to build, by name.

    Raises:
        BuildError: There are none, or one of the wanted is not there.
    """
    configs = sorted(repository.glob(f"*/configs/{PLATFORM}.pbtxt"))
    found = {config.parents[1].name: config for config in configs}
    if missing := sorted(set(wanted) - set(found)):
        raise BuildError(
            f"{repository} has no model {', '.join(missing)} with configs/{PLATFORM}.pbtxt"
        )
    if not found:
        raise BuildError(f"{repository} has no model with configs/{PLATFORM}.pbtxt")
    return [_model(found[name]) for name in wanted or found]


def _model(config: Path) -> Model:
    folder = config.parents[1]
    numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    version = str(max(numbers, default=1))
    if not (folder / version / "model.onnx").is_file():
        raise BuildError(f"{folder / version} has no model.onnx to build an engine from")
    return Model(folder, version, shapes_of(config.read_text(encoding="utf-8")))


def shapes_of(config: str) -> str:
    """Return the inputs of a config.pbtxt as trtexec's shapes: smallest, usual, largest batch.

    Without batches, or with a fixed size, the graph itself says all: then it is empty.

    Raises:
        BuildError: The configuration cannot be read.
    """
    text = re.sub(r"#.*", "", config)
    batch = re.search(r"\bmax_batch_size\s*:\s*(\d+)", text)
    inputs = re.search(r"\binput\s*\[(.*?)\]\s*(?=\w+\s*[\[{:]|$)", text, re.DOTALL)
    if not batch or not inputs:
        raise BuildError("its configuration names no max_batch_size or no input")
    most = int(batch[1])
    if most == 0:
        return ""
    tensors = re.findall(r'name\s*:\s*"([^"]+)".*?dims\s*:\s*\[([^\]]*)\]', inputs[1], re.DOTALL)

    def spelled(size: int) -> str:
        sizes = [(name, [str(size), *re.findall(r"-?\d+", dims)]) for name, dims in tensors]
        return ",".join(f"{name}:{'x'.join(each)}" for name, each in sizes)

    usual = max(1, most // 2)
    return f"--minShapes={spelled(1)} --optShapes={spelled(usual)} --maxShapes={spelled(most)}"


def gpu_name() -> str:
    """Return the name and the compute capability of the first GPU, asked of the driver itself.

    Raises:
        BuildError: None is to be seen.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise BuildError(
            "no NVIDIA driver is to be seen in this container: DEVICE in .env must be one with a "
            "GPU, and the host needs the NVIDIA container runtime (docs/deploy.md)"
        ) from None
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    text = ctypes.create_string_buffer(256)
    for status in (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetName(text, len(text), device),
        driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device),  # compute capability
        driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device),
    ):
        if status != 0:
            raise BuildError(
                f"the NVIDIA driver does not show a GPU (CUDA error {status}): may this user open "
                "its devices? On a Jetson set VIDEO_GID and RENDER_GID in .env (docs/deploy.md)"
            )
    return f"{text.value.decode(errors='replace')} ({major.value}.{minor.value})"


def find_trtexec() -> str:
    """Return the path of trtexec.

    Raises:
        BuildError: This image has none.
    """
    found = shutil.which("trtexec", path=os.pathsep.join([os.environ.get("PATH", ""), *TRTEXEC_IN]))
    if found is None:
        raise BuildError(
            "this image has no trtexec: DEVICE in .env must be gpu-tensorrt, jetson6 or jetson7; "
            "or name an image that has one, of the same release as Triton's, as TRTEXEC_IMAGE"
        )
    return found


def tensorrt_version(trtexec: str) -> str:
    """Return the number that trtexec prints first, such as 100300 for 10.3.0."""
    done = subprocess.run(
        [trtexec, "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    said = re.search(r"\[TensorRT v(\d+)\]", done.stdout + done.stderr)
    return said[1] if said else "unknown"


def is_fresh(folder: Path, recipe: Recipe) -> tuple[bool, str]:
    """Return whether an engine is there and was made of this, and if not, why."""
    if not (folder / PLAN).is_file():
        return False, "there is none yet"
    try:
        made_of = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        changed = [key for key, value in asdict(recipe).items() if made_of.get(key) != value]
    except (OSError, ValueError, AttributeError):
        return False, "nothing says what it was made of"
    return not changed, f"changed since: {', '.join(changed)}"


def build(model: Model, recipe: Recipe, trtexec: str, folder: Path) -> None:
    """Make the engine of a model in a folder; what was there stays until it is done.

    Raises:
        BuildError: trtexec failed; the text has its last words.
    """
    part = folder / f"{PLAN}.part"
    argv = [trtexec, f"--onnx={model.onnx}", f"--saveEngine={part}", "--fp16", "--skipInference"]
    argv += [f"--memPoolSize=workspace:{WORKSPACE_MB}", *recipe.shapes.split()]
    with tempfile.TemporaryFile("w+", errors="replace") as log, _heartbeat(model.name):
        status = subprocess.call(argv, stdout=log, stderr=subprocess.STDOUT)
        log.seek(0)
        lines = [line.strip() for line in log if line.strip()]
    if status != 0 or not part.is_file() or part.stat().st_size == 0:
        part.unlink(missing_ok=True)
        errors = [line for line in lines if "[E]" in line or "rror" in line] or lines
        said = "\n    ".join(errors[-5:] or ["it said nothing"])
        raise BuildError(
            f"trtexec ended with status {status}:\n    {said}\n  If memory was short, stop the "
            "rest meanwhile: docker compose stop"
        )
    (folder / RECORD).unlink(missing_ok=True)  # the old one would speak for the new engine
    part.rename(folder / PLAN)
    (folder / RECORD).write_text(json.dumps(asdict(recipe), indent=2) + "\n", encoding="utf-8")


@contextmanager
def _heartbeat(name: str) -> Iterator[None]:
    """Say now and then that it goes on."""
    done, began = threading.Event(), time.monotonic()

    def speak() -> None:
        while not done.wait(SAY_EVERY_S):
            say(f"{name}: still building, {time.monotonic() - began:.0f} s")

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()


def lay_out(model: Model, place: Path) -> None:
    """Put beside the engine what Triton reads besides: configuration and labels."""
    (place / "configs").mkdir(parents=True, exist_ok=True)
    config = model.folder / "configs" / f"{PLATFORM}.pbtxt"
    shutil.copyfile(config, place / "config.pbtxt")
    shutil.copyfile(config, place / "configs" / f"{PLATFORM}.pbtxt")
    if (model.folder / "labels.txt").is_file():
        shutil.copyfile(model.folder / "labels.txt", place / "labels.txt")


def clear(engines: Path, models: list[Model]) -> None:
    """Remove engines of models and versions that are no longer there."""
    kept = {engines / model.name / model.version for model in models}
    for record in engines.glob(f"*/*/{RECORD}"):
        if record.parent not in kept:
            say(f"{record.parents[1].name}: version {record.parent.name} is gone, so its engine is")
            shutil.rmtree(record.parent)
            if not any(path.name.isdecimal() for path in record.parents[1].iterdir()):
                shutil.rmtree(record.parents[1])


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def run(models: Path, engines: Path, wanted: list[str], *, force: bool) -> None:
    """Bring all engines up to date.

    Raises:
        BuildError: One cannot be made.
    """
    found = models_in(models, wanted)
    trtexec = find_trtexec()
    version, gpu = tensorrt_version(trtexec), gpu_name()
    say(f"TensorRT {version} on {gpu}")
    if not wanted:
        clear(engines, found)
    for model in found:
        digest = hashlib.sha256(model.onnx.read_bytes()).hexdigest()
        recipe = Recipe(digest, version, gpu, "fp16", model.shapes)
        place = engines / model.name
        folder = place / model.version
        folder.mkdir(parents=True, exist_ok=True)
        lay_out(model, place)
        fresh, why = is_fresh(folder, recipe)
        if fresh and not force:
            say(f"{model.name}: its engine is up to date")
            continue
        reason = "asked for" if force else why
        say(f"{model.name}: building an engine ({reason}); that takes minutes")
        began = time.monotonic()
        try:
            build(model, recipe, trtexec, folder)
        except BuildError as error:
            raise BuildError(f"{model.name}: {error}") from None
        size = (folder / PLAN).stat().st_size / 1e6
        say(f"{model.name}: done in {time.monotonic() - began:.0f} s, {size:.0f} MB")


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Build TensorRT engines (FP16) of the models, where they are missing or stale.",
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all that can be built")
    parser.add_argument("--repository", type=Path, default=Path("/models"), help="where they are")
    parser.add_argument("--out", type=Path, default=Path("/engines"), help="where engines go")
    parser.add_argument("--force", action="store_true", help="build also what is up to date")
    given = parser.parse_args()
    try:
        run(given.repository, given.out, given.models, force=given.force)
    except BuildError as error:
        print(f"build-engines: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"build-engines: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
