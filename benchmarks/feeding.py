"""Plays the producers for benchmarks: announces pictures that were drawn before it began.

Cameras that decode or draw would be measured along with the pipeline, and on many of them would
be what limits it. This stores and announces frames as the producers do, with the product's own
frame store and bus, at a steady rate; the pictures are those of the demo clip, with a gun in view
or without. A frame that is late by more than a period is left out and counted. With `--link` the
pixels lie in the store already and a frame is a new name for them: cameras that cost nothing, to
find out what the rest can do.

    python -m benchmarks.feeding --config config.yaml --size 1920x1080 --fps 15 --every 10
"""

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from producers.statuses import Statuses
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameWriter
from secondlook.adapters.ownership import make_private
from secondlook.config import Config
from secondlook.config_file import load
from secondlook.errors import StoreFull
from secondlook.local.truth import Truth
from secondlook.messages import FrameRef

CLIP = Path(__file__).resolve().parents[1] / "producers" / "demo" / "demo.mp4"
GUNS = ("small_gun", "big_gun")
MARGIN_S = 0.5
"""So far from every card of the clip nothing of one is in view."""
MB = 1_000_000
LINKS = 32
"""Names that a camera's frames have at a time."""
APART = 13
"""Pictures from one camera's place in the clip to the next one's."""
MOST = 24
"""Pictures of either kind that are kept in memory."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """What the cameras see."""

    with_gun: list[Image]
    """In the clip's order, so that the gun moves."""
    empty: list[Image]

    def of(self, number: int, every: int) -> Image:
        """Return a camera's n-th picture; every `every`-th shows a gun, with 0 none does."""
        if every and number % every == 0:
            return self.with_gun[number // every % len(self.with_gun)]
        return self.empty[number % len(self.empty)]


def pictures(width: int, height: int) -> Pictures:
    """Return the demo clip's pictures, stretched to a size: (height, width, 3) uint8 BGR."""
    truth = Truth.read(CLIP.with_suffix(".json"))
    guns = [e for e in truth.episodes if e.label in GUNS]
    with_gun = [i for e in guns for i in _frames(truth, e.start_s + 0.3, e.end_s - 0.3)]
    shown = {
        i for e in truth.episodes for i in _frames(truth, e.start_s - MARGIN_S, e.end_s + MARGIN_S)
    }
    empty = [i for i in range(truth.frames) if i not in shown]
    wanted = {*with_gun[:MOST], *empty[:MOST]}
    read: dict[int, Image] = {}
    clip = cv2.VideoCapture(str(CLIP))
    for number in range(truth.frames):
        ok, image = clip.read()
        if ok and number in wanted:
            read[number] = np.asarray(cv2.resize(image, (width, height)), np.uint8)
    clip.release()
    return Pictures([read[i] for i in with_gun[:MOST]], [read[i] for i in empty[:MOST]])


def _frames(truth: Truth, from_s: float, to_s: float) -> Sequence[int]:
    return range(max(0, round(from_s * truth.fps)), min(truth.frames, round(to_s * truth.fps) + 1))


class LinkedFrames:
    """Stores a frame as another name of a file that holds its pixels already.

    Args:
        directory: The frame store.
        camera: Its slug.
        keep: Names at a time; the oldest makes room.
    """

    def __init__(self, directory: Path, camera: str, keep: int) -> None:
        self._folder = directory / camera
        make_private(self._folder)
        self._keep = keep
        self._pixels: dict[int, Path] = {}
        self._names: deque[Path] = deque()

    def write(self, ref: FrameRef, image: Image) -> None:
        """Give a picture that was seen before the name of a frame."""
        if id(image) not in self._pixels:
            path = self._folder / f"drawn{len(self._pixels)}"
            path.write_bytes(image.tobytes())
            self._pixels[id(image)] = path
        name = self._folder / f"{ref.id}.bgr"
        os.link(self._pixels[id(image)], name)
        self._names.append(name)
        if len(self._names) > self._keep:
            self._names.popleft().unlink()


@dataclass
class Camera:
    """One camera that is played."""

    name: str
    writer: FrameWriter | LinkedFrames
    run: str
    due_s: float
    number: int = 0
    sent: int = 0
    late: int = 0
    """Frames that were left out because their time had passed."""
    full: int = 0
    """Frames that the store had no room for."""
    period_s: float = field(default=0.1)

    def skip_missed(self, now_s: float) -> None:
        """Leave out what should have been sent long ago."""
        missed = int((now_s - self.due_s) / self.period_s)
        self.late += missed
        self.number += missed
        self.due_s += missed * self.period_s


def _sent(camera: Camera, bus: Bus, image: Image) -> None:
    captured_ns = time.time_ns()
    ref = FrameRef(
        id=f"{camera.name}-{captured_ns}",
        camera=camera.name,
        run=camera.run,
        sequence=camera.number,
        captured_ns=captured_ns,
        media_ns=time.monotonic_ns(),
        width=image.shape[1],
        height=image.shape[0],
    )
    try:
        camera.writer.write(ref, image)
    except StoreFull:
        camera.full += 1
    else:
        camera.sent += bus.send(topics.FRAMES, ref, camera=camera.name)


def _writer(config: Config, camera: str, *, link: bool) -> FrameWriter | LinkedFrames:
    directory, cameras = config.frames.directory, len(config.cameras)
    if link:
        return LinkedFrames(directory, camera, LINKS)
    return FrameWriter(directory, camera, config.frames.max_mb * MB // cameras, cameras=cameras)


async def feed(
    config: Config, shown: Pictures, *, fps: float, every: int, link: bool, said: Path
) -> None:
    """Announce frames until cancelled; what was sent is written to `said` twice a second."""
    run = f"feed{time.time_ns():x}"
    async with Bus(config.mqtt, service="producers") as bus:
        statuses = Statuses(bus, config.cameras)
        while not bus.connected:  # noqa: ASYNC110 - once, at the start
            await asyncio.sleep(0.05)
        began = time.monotonic() + 0.5
        cameras = [
            Camera(
                name,
                _writer(config, name, link=link),
                run,
                # Spread over a period, as cameras are that know nothing of each other.
                began + index / len(config.cameras) / fps,
                # Nor do they all see the same thing at the same moment.
                number=APART * index,
                period_s=1 / fps,
            )
            for index, name in enumerate(config.cameras)
        ]
        for camera in cameras:
            statuses.set(camera.name, online=True)
        told_s = 0.0
        while True:
            camera = min(cameras, key=lambda each: each.due_s)
            now_s = time.monotonic()
            if camera.due_s > now_s:
                await asyncio.sleep(camera.due_s - now_s)
            camera.skip_missed(time.monotonic())
            _sent(camera, bus, shown.of(camera.number, every))
            camera.number += 1
            camera.due_s += camera.period_s
            await asyncio.sleep(0)
            if now_s - told_s > 0.5:  # noqa: PLR2004 - often enough for whoever reads it
                told_s = now_s
                _say(said, cameras)


def _say(said: Path, cameras: Sequence[Camera]) -> None:
    counts = {key: sum(getattr(c, key) for c in cameras) for key in ("sent", "late", "full")}
    part = said.with_suffix(".part")
    part.write_text(json.dumps(counts))
    part.rename(said)


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path), required=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE")
@click.option("--size", default="1920x1080", show_default=True, help="WIDTHxHEIGHT of a frame.")
@click.option("--fps", default=15.0, show_default=True, help="Of each camera.")
@click.option("--every", default=1, show_default=True, help="A gun in every so many; 0: none.")
@click.option("--link", is_flag=True, help="Cameras that cost nothing.")
@click.option("--said", type=click.Path(path_type=Path), required=True, help="Counts go here.")
def main(
    *,
    path: Path,
    overrides: tuple[str, ...],
    size: str,
    fps: float,
    every: int,
    link: bool,
    said: Path,
) -> None:
    """Play the cameras of a configuration until Ctrl-C."""
    width, height = map(int, size.split("x"))
    shown = pictures(width, height)
    with contextlib.suppress(KeyboardInterrupt):
        config = load(path, overrides)
        asyncio.run(feed(config, shown, fps=fps, every=every, link=link, said=said))


if __name__ == "__main__":
    main()
