"""Plays an evaluation through the real stack and writes down everything that is said."""

import asyncio
import contextlib
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from secondlook.adapters.triton import Triton
from secondlook.commands.closing import dropped
from secondlook.commands.evaluate_hear import Player, Watched
from secondlook.commands.evaluate_plan import Turn, waves
from secondlook.config import Config
from secondlook.errors import NotConnected
from secondlook.evaluation import record
from secondlook.evaluation.record import Mode
from secondlook.local.stack import READY_S, Stack
from secondlook.messages import rfc3339
from secondlook.model_spec import ModelSpec
from secondlook.service import VERSION

STARTS_WITHIN_S = 30.0
STANDS_STILL_S = 60.0
"""A camera of whom nothing is heard for so long will not come to its end."""
PATIENCE_S = 20.0
"""How long the next verdict may take once a clip is over."""
QUIET_S = 1.0
"""After the last verdict: an alert is on its way for milliseconds."""
DEFAULT_MIN_SCORE = 0.25


async def describe(stack: Stack, config: Config, mode: Mode) -> tuple[ModelSpec | None, ModelSpec]:
    """Return the detector's (where it is used) and the classifier's model as they are served.

    Raises:
        ModelMismatch: One is missing, or cannot be used.
        TritonUnavailable: The server does not answer.
    """
    triton = Triton(stack.triton.url, deadline_s=config.triton.deadline_s, shared_memory="off")
    try:
        d, c = config.detector, config.classifier
        classifier = await triton.describe(c.model, c.version, c.parameters, "labels")
        if mode == "images":
            return None, classifier
        return await triton.describe(d.model, d.version, d.parameters, "boxes"), classifier
    finally:
        await triton.close()


def started(
    mode: Mode,
    parallel: int,
    config: Config,
    models: tuple[ModelSpec | None, ModelSpec],
    point: float | None,
) -> record.Started:
    """Return the record's first line.

    Args:
        mode: How it is played.
        parallel: Cameras at the same time.
        config: In force.
        models: The detector's and the classifier's.
        point: `detector.min_score` as it would be without `--min-score`.
    """
    detector, classifier = models
    own = detector.parameters.min_score if detector else None
    own = DEFAULT_MIN_SCORE if own is None else own
    normal = own if point is None else point
    played = config.detector.min_score
    return record.Started(
        version=VERSION,
        at=rfc3339(datetime.now(UTC)),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        mode=mode,
        parallel=parallel,
        alerts=config.alerts,
        relook_s=config.detector.relook_s,
        min_score=normal if played is None else played,
        operating_point=normal,
        detector=f"{detector.name} {detector.version}" if detector else "none",
        classifier=f"{classifier.name} {classifier.version}",
        parameters=classifier.parameters,
    )


@dataclass(frozen=True)
class Plan:
    """What is played, and how."""

    turns: Sequence[Turn]
    parallel: int
    """Cameras at the same time."""
    folder: Path
    """For configurations and gates."""
    gated: bool
    """A frame waits until the one before it was looked at."""


async def play_all(player: Player, stack: Stack, plan: Plan, console: Console) -> None:
    """Play everything, with a line that says how far it is.

    Raises:
        NotConnected: A clip sends no frame, or nothing is heard any more.
        PartFailed: A part of the stack stopped for good.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        TextColumn("{task.fields[found]}", style="dim"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("playing", total=sum(t.seconds for t in plan.turns), found="")
        done_s = 0.0
        for wave in waves(plan.turns, plan.parallel):
            playing = asyncio.create_task(_wave(player, stack, wave, plan))
            either: list[asyncio.Future[Any]] = [playing, stack.supervisor.failed]
            try:
                while not playing.done():
                    await asyncio.wait(either, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                    if stack.supervisor.failed.done():
                        raise stack.supervisor.failed.result()
                    at_s = sum(
                        player.cameras[t.played.camera].at_s
                        for t in wave
                        if t.played.camera in player.cameras
                    )
                    found = f"{len(player.crops)} crops, {player.new} alerts"
                    progress.update(task, completed=done_s + at_s, found=found)
                playing.result()
            finally:
                playing.cancel()
                await asyncio.wait([playing])
            done_s += sum(turn.seconds for turn in wave)
            progress.update(task, completed=done_s)


async def _wave(player: Player, stack: Stack, wave: Sequence[Turn], plan: Plan) -> None:
    for turn in wave:
        player.recorder.write(turn.played)
        player.cameras[turn.played.camera] = Watched(heard_s=time.monotonic())
    with contextlib.ExitStack() as gates:
        config = plan.folder / "wave.yaml"
        cameras = {}
        for turn in wave:
            gate = _gate(player, turn, plan.folder, gates) if plan.gated else None
            cameras[turn.played.camera] = camera_of(turn, gate)
        config.write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
        stack.start_service("producers", config)
        try:
            await stack.supervisor.ready("producers", READY_S)
            await _until_over(player, wave)
            player.lost.update(await dropped({"producers": stack.metrics["producers"]}))
        finally:
            await stack.supervisor.end("producers")
            for turn in wave:
                player.cameras[turn.played.camera].gate = None


def camera_of(turn: Turn, gate: Path | None) -> dict[str, Any]:
    """Return the configuration of a camera that plays a clip or photographs.

    Args:
        turn: What it plays.
        gate: The named pipe that lets frames through; None: in real time.
    """
    options = "" if gate is None else f"?realtime=0&gate={gate}"
    # A clip that shows a still picture is no blind camera.
    return {"source": turn.place + options, "fps": turn.played.fps, "blank_after_s": 86_400}


def _gate(player: Player, turn: Turn, folder: Path, gates: contextlib.ExitStack) -> Path:
    path = folder / f"{turn.played.camera}.gate"
    os.mkfifo(path, 0o600)
    # For reading too, so that it stands open when no camera has opened it yet.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    gates.callback(os.close, pipe)
    player.cameras[turn.played.camera].gate = pipe
    return path


async def _until_over(player: Player, wave: Sequence[Turn]) -> None:
    began_s = time.monotonic()
    while not all(player.cameras[turn.played.camera].over for turn in wave):
        await _something(player, 1.0)
        now_s = time.monotonic()
        for turn in wave:
            watched = player.cameras[turn.played.camera]
            if not watched.frames and now_s - began_s > STARTS_WITHIN_S:
                raise NotConnected(
                    f"{turn.played.path} sent no frame within {STARTS_WITHIN_S:.0f} s"
                )
            if not watched.over and now_s - watched.heard_s > STANDS_STILL_S:
                raise NotConnected(f"{turn.played.path} stands still after {watched.at_s:.1f} s")
    await settle(player)


async def settle(player: Player) -> None:
    """Wait until every crop has its verdict, and the last alert has come."""
    while player.waiting:
        before = len(player.judged)
        deadline_s = time.monotonic() + PATIENCE_S
        while player.waiting and len(player.judged) == before:
            if time.monotonic() > deadline_s:
                player.lost["crops without a verdict"] = player.waiting
                return
            await _something(player, 1.0)
    await asyncio.sleep(QUIET_S)


async def _something(player: Player, timeout_s: float) -> None:
    player.happened.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await player.happened.wait()
