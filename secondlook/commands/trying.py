"""Tries a broker, the models and the cameras once, and says what is wrong with each."""

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from rich.console import Console

from secondlook.adapters.bus import Bus
from secondlook.adapters.triton import Triton
from secondlook.commands.lines import count
from secondlook.config import Classifier, Config, Detector, Mqtt, TritonServer
from secondlook.errors import SecondLookError
from secondlook.local.stack import Wish, is_local
from secondlook.model_spec import ModelSpec

BROKER_S = 6.0
MODEL_S = 60.0
"""A model's first call may build kernels."""
SOURCE_S = 30.0
AT_ONCE = 4
"""Cameras opened at the same time."""


class Report:
    """Prints what was found and counts what is wrong."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.mistakes = 0

    def good(self, sentence: str) -> None:
        """Say that something works."""
        self._say("[green]ok[/]   ", sentence)

    def bad(self, sentence: str) -> None:
        """Say what is wrong."""
        self.mistakes += 1
        self._say("[red]wrong[/]", sentence)

    def _say(self, mark: str, sentence: str) -> None:
        self.console.print(mark, end="  ")
        self.console.print(sentence, highlight=False, markup=False, soft_wrap=True)


async def try_broker(mqtt: Mqtt, report: Report) -> None:
    """Connect once."""
    where = f"broker at {mqtt.host}:{mqtt.port}"
    connected = asyncio.Event()

    async def note() -> None:
        connected.set()

    with warnings_of("secondlook.adapters.bus") as warnings:
        async with Bus(mqtt, service=f"check-{time.time_ns():x}") as bus:
            bus.on_connect(note)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BROKER_S):
                    await connected.wait()
    if connected.is_set():
        report.good(where)
        return
    advice = "; `secondlook up` brings its own (check --embedded)" if is_local(mqtt.host) else ""
    why = warnings[-1] if warnings else f"no {where}: it does not answer"
    report.bad(why + advice)


@contextlib.contextmanager
def warnings_of(module: str) -> Iterator[list[str]]:
    """Collect what a module warns of instead of printing it."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(module)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


async def try_models(config: Config, server: TritonServer, report: Report) -> None:
    """Ask Triton for both models and send a known tensor through each."""
    async with Triton(server.url, deadline_s=server.deadline_s) as triton:
        await _try_model("detector", triton, config, report)
        await _try_model("classifier", triton, config, report)


async def _try_model(
    role: Literal["detector", "classifier"], triton: Triton, config: Config, report: Report
) -> None:
    wanted: Detector | Classifier = getattr(config, role)
    answers: Literal["boxes", "labels"] = "boxes" if role == "detector" else "labels"
    name = f"{role} model {wanted.model}"
    try:
        async with asyncio.timeout(MODEL_S):
            # First without waiting: a server that is away is said, not waited for.
            await triton.describe(wanted.model, wanted.version, wanted.parameters, answers)
            endpoint = await triton.model(
                wanted.model,
                overrides=wanted.parameters,
                version=wanted.version,
                answers=answers,
            )
            await endpoint.check()
    except TimeoutError:
        report.bad(f"{name}: Triton at {triton.url} does not answer in time")
    except SecondLookError as error:
        report.bad(f"{name}: {error}")
    else:
        labels = endpoint.spec.parameters.labels or ()
        needed = config.alerts.labels if role == "classifier" else config.detector.labels or []
        missing = [label for label in needed if label not in labels]
        if missing:
            report.bad(f"{name} knows {', '.join(labels)}, but not {', '.join(missing)}")
        else:
            report.good(f"{name}, version {endpoint.spec.version}: {_described(endpoint.spec)}")


def _described(spec: ModelSpec) -> str:
    height, width = spec.input_size
    labels = spec.parameters.labels or ()
    return f"{spec.input.datatype} {width}x{height}, {count(labels, 'label')}"


async def try_sources(wish: Wish, pictures: Path, report: Report) -> None:
    """Open each camera in a process of its own and save a picture of it."""
    turns = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(
        *(
            _try_source(wish, name, pictures / f"{name}.jpg", turns, report)
            for name in wish.config.cameras
        )
    )


async def _try_source(
    wish: Wish, camera: str, picture: Path, turns: asyncio.Semaphore, report: Report
) -> None:
    argv = [sys.executable, "-m", "producers.probe", "--config", str(wish.config_path)]
    argv += ["--camera", camera, "--picture", str(picture)]
    for override in wish.overrides:
        argv += ["--set", override]
    async with turns:
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(SOURCE_S):
                out, err = await process.communicate()
        except TimeoutError:
            report.bad(f"camera {camera}: no picture within {SOURCE_S:.0f} s")
            return
        finally:
            # A driver that hangs is why this is a process.
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == 0:
        found = json.loads(out)
        size = f"{found['width']}x{found['height']}"
        report.good(f"camera {camera}: {size}, picture in {picture}")
    else:
        said = err.decode(errors="replace").strip().splitlines() or [
            f"the process that tried it ended with status {process.returncode} and said nothing"
        ]
        report.bad(f"camera {camera}: {said[-1]}")
