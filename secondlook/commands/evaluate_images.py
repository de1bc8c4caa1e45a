"""Sends labelled pictures to the classifier service as crops, a few hundred at a time."""

import asyncio
import contextlib
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands.evaluate_hear import Player
from secondlook.commands.evaluate_plan import pictures
from secondlook.commands.evaluate_play import PATIENCE_S, settle
from secondlook.errors import ConfigError, NotConnected
from secondlook.evaluation import record
from secondlook.messages import Box, Crop, Detected, FrameRef

CAMERA = "images"
AT_ONCE = 200
"""Crops on their way at the same time."""
SMALLEST = 16
LARGEST_BYTES = 1_900_000
QUALITY = 95


def labelled(folder: Path) -> list[tuple[str, Path]]:
    """Return (label, picture) of class folders: `<folder>/<label>/…`.

    Raises:
        ConfigError: There are no such folders, or nothing in them.
    """
    found = [(path.relative_to(folder.absolute()).parts, path) for path in pictures(folder)]
    inside = [(parts[0], path) for parts, path in found if len(parts) > 1]
    if not inside:
        raise ConfigError(
            f"{folder} needs a folder for each label with its pictures: "
            f"{folder}/small_gun/1.jpg, {folder}/phone/2.jpg, …"
        )
    return inside


async def send_all(
    player: Player, bus: Bus, images: list[tuple[str, Path]], console: Console
) -> None:
    """Send every picture and wait for its verdict.

    Raises:
        NotConnected: No verdict comes any more.
    """
    columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(images))
        for number, (label, path) in enumerate(images):
            crop = await asyncio.to_thread(crop_of, number, path)
            if crop is None:
                player.lost["pictures that cannot be read, or are too small"] += 1
                continue
            where = record.Labelled(id=crop.id, label=label, picture=str(path))
            player.recorder.write(where)
            player.crops.add(crop.id)
            await bus.publish(topics.CROPS, crop, camera=CAMERA)
            await _room(player)
            progress.update(task, completed=len(player.judged))
        await settle(player)
        progress.update(task, completed=len(player.judged))


async def _room(player: Player) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while player.waiting > AT_ONCE:
        if time.monotonic() > deadline_s:
            raise NotConnected(f"no verdict came within {PATIENCE_S:.0f} s")
        player.happened.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await player.happened.wait()


def crop_of(number: int, path: Path) -> Crop | None:
    """Return a picture file as the crop of a track of its own; None if it cannot be one."""
    raw = path.read_bytes()
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if image is None or min(image.shape[:2]) < SMALLEST:
        return None
    if not raw.startswith(b"\xff\xd8") or len(raw) > LARGEST_BYTES:
        raw = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        if len(raw) > LARGEST_BYTES:
            return None
    now_ns = time.time_ns()
    height, width = image.shape[:2]
    whole = Box(x1=0, y1=0, x2=width, y2=height)
    frame = FrameRef(
        id=f"{CAMERA}-{now_ns}",
        camera=CAMERA,
        run="images",
        sequence=number,
        captured_ns=now_ns,
        media_ns=number,
        width=width,
        height=height,
    )
    return Crop(
        id=f"{CAMERA}-{number}.0",
        camera=CAMERA,
        track=f"{CAMERA}-{number}",
        frame=frame,
        box=whole,
        region=whole,
        detector=Detected(model="none", version="0", label="picture", score=1.0),
        cause="new",
        track_started_ns=now_ns,
        track_started_media_ns=number,
        detected_ms=0.0,
        jpeg=raw,
    )
