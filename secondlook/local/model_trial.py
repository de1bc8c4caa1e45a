"""Measures a model with other settings, on a Triton and a copy of its folder of their own."""

import asyncio
import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.model_config import parse_config, read_config
from secondlook.adapters.triton import Triton
from secondlook.errors import ModelMismatch, TritonUnavailable
from secondlook.local import tritonserver
from secondlook.local.repository import Model
from secondlook.model_fit import known_images
from secondlook.model_spec import ModelParameters
from secondlook.tuning import Measured, Settings, changed, edited

LOAD_S: Final = 180.0
"""A GPU's instances build their kernels, one after the other."""
DEADLINE_S: Final = 30.0
WARM_S: Final = 1.0
LEAST: Final = 5
"""Single requests, however long they take."""


def rewritten(path: Path, settings: Settings) -> str:
    """Return the text of a model's configuration with other settings.

    Raises:
        ModelMismatch: It cannot be read, or not be edited without changing anything else.
    """
    try:
        wanted = changed(read_config(path), settings)
        new = edited(path.read_text(encoding="utf-8"), settings)
        if _meaning(new) != wanted:
            raise ValueError("has them in an unusual form")  # noqa: TRY301 - one sentence for all
    except ValueError as error:
        raise ModelMismatch(
            f"{path} cannot be edited safely, it {error}: write its instance_group and threads "
            "in the way of model_repository/yolov5/configs"
        ) from None
    return new


def _meaning(text: str) -> Mapping[str, Any] | None:
    """Return what an edited configuration says; None if it is none any more."""
    try:
        return parse_config(text, "")
    except ModelMismatch:
        return None


def write(path: Path, text: str) -> None:
    """Replace a file at once, or leave it as it was.

    Raises:
        ModelMismatch: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        shutil.copymode(path, beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ModelMismatch(f"{path} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def copied(model: Model) -> Iterator[Path]:
    """Give a repository with a copy of the model, without its configurations."""
    with tempfile.TemporaryDirectory(prefix="secondlook-model-tune-") as folder:
        repository = Path(folder) / "models"
        ignored = shutil.ignore_patterns("configs", "__pycache__")
        shutil.copytree(model.folder, repository / model.name, ignore=ignored)
        yield repository


async def measure(
    home: tritonserver.TritonHome,
    repository: Path,
    name: str,
    settings: Settings,
    *,
    seconds: float,
    overrides: ModelParameters | None = None,
) -> Measured:
    """Start a Triton, ask it as the service would, and end it.

    Args:
        home: The installed server.
        repository: With this model alone, configured like the settings.
        name: The model.
        settings: How to ask it.
        seconds: Of the measurement with many calls under way; half as long for single ones.
        overrides: Parameters of the user's configuration.

    Raises:
        SecondLookError: The model cannot be served or asked like this.
    """
    with tritonserver.Server(home, repository, repository.with_name("triton.log")) as server:
        async with Triton(server.url, deadline_s=DEADLINE_S) as triton:
            try:
                async with asyncio.timeout(LOAD_S):
                    endpoint = await triton.model(
                        name,
                        overrides=overrides,
                        in_flight=settings.in_flight,
                        batch=settings.batch,
                    )
                    await endpoint.check()
            except TimeoutError:
                raise TritonUnavailable(f"not loaded within {LOAD_S:.0f} s") from None
            await _flood(endpoint, settings.in_flight, WARM_S)
            per_s = await _flood(endpoint, settings.in_flight, seconds)
            return Measured(per_s, await _delay_ms(endpoint, seconds / 2))


async def _flood(endpoint: Endpoint, in_flight: int, seconds: float) -> float:
    """Keep so many calls under way; return pictures per second."""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def ask() -> int:
        answered = 0
        async with endpoint.slot() as slot:
            slot.images[:] = known_images(endpoint.spec, endpoint.batch)
            while clock() < began + seconds:
                await endpoint.infer(slot, endpoint.batch)
                answered += endpoint.batch
        return answered

    # All are waited for: the connection may close only when nobody is in a call.
    results = await asyncio.gather(*(ask() for _ in range(in_flight)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return sum(each for each in results if isinstance(each, int)) / (clock() - began)


async def _delay_ms(endpoint: Endpoint, seconds: float) -> float:
    """Ask for one picture after the other; return the median of what it took."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    took: list[float] = []
    async with endpoint.slot() as slot:
        slot.images[:1] = known_images(endpoint.spec, 1)
        while len(took) < LEAST or clock() < until:
            began = clock()
            await endpoint.infer(slot, 1)
            took.append(1000 * (clock() - began))
    return statistics.median(took)
