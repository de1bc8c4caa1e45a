"""A whole detector between a real broker and a real Triton, with a camera that a test holds."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from detector_svc.__main__ import serve
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameWriter
from secondlook.config import Config
from secondlook.local.tritonserver import Server, TritonHome
from secondlook.messages import Crop, CropMessage, FrameRef, Seen, TrackEnded
from secondlook.service import Context, Health
from tests.integration.broker_fixtures import KEEPALIVE_S, PATIENCE_S, Broker, opened
from tests.integration.triton_fixtures import MODELS, write_config

WIDTH, HEIGHT = 320, 240
SIDE = 160
"""Of the model's input."""
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)
STEP_NS = 100_000_000
"""Of media time between two frames, however long the machine stands still between them."""

Image = NDArray[np.uint8]


def add_colours(repository: Path, **parameters: Any) -> None:
    """Add the detector that finds red and green things."""
    folder = repository / "colours"
    write_config(
        folder,
        dims=(SIDE, SIDE, 3),
        outputs=(("boxes", (4, 4)), ("scores", (4,))),
        extra=(
            'output [ { name: "labels" data_type: TYPE_INT32 dims: [ 4 ] } ]\n'
            'output [ { name: "count" data_type: TYPE_INT32 dims: [ 1 ] } ]'
        ),
        labels="red,green",
        output="fused",
        resize="letterbox",
        **parameters,
    )
    (folder / "1").mkdir(exist_ok=True)
    shutil.copy(MODELS / "colours.py", folder / "1" / "model.py")


@contextlib.contextmanager
def serving_colours(home: TritonHome, folder: Path, **parameters: Any) -> Iterator[Server]:
    """Run a Triton with that detector."""
    add_colours(folder / "models", **parameters)
    with Server(home, folder / "models", folder / "triton.log") as server:
        yield server


def scene(*things: tuple[tuple[int, int, int], int, int, int, int]) -> Image:
    """Return a dark picture with coloured rectangles (colour, x, y, width, height)."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for colour, x, y, w, h in things:
        image[y : y + h, x : x + w] = colour
    return image


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for lies in other processes
            await asyncio.sleep(0.01)


class Camera:
    """What a producer does, step by step."""

    def __init__(self, bus: Bus, directory: Path, name: str) -> None:
        self.name = name
        self.run = "run1"
        self.done: Callable[[], float] = lambda: 0.0
        """How many of its frames the detector is done with."""
        self._bus = bus
        self._media_ns = time.monotonic_ns()
        self._writer = FrameWriter(directory, name, 50_000_000)
        self._sequence = 0

    def ref(self, image: Image | None = None, **changes: Any) -> FrameRef:
        captured_ns = changes.pop("captured_ns", time.time_ns())
        height, width = (HEIGHT, WIDTH) if image is None else image.shape[:2]
        self._sequence += 1
        self._media_ns += STEP_NS
        known = {
            "id": f"{self.name}-{captured_ns}",
            "camera": self.name,
            "run": self.run,
            "sequence": self._sequence,
            "captured_ns": captured_ns,
            "media_ns": self._media_ns,
            "width": width,
            "height": height,
        }
        return FrameRef(**(known | changes))

    async def announce(self, ref: FrameRef) -> None:
        assert self._bus.send(topics.FRAMES, ref, camera=self.name)
        await asyncio.sleep(0)

    async def show(self, image: Image, **changes: Any) -> FrameRef:
        """Store a frame and announce it."""
        ref = self.ref(image, **changes)
        self._writer.write(ref, image)
        await self.announce(ref)
        return ref

    async def film(self, image: Image, frames: int, *, patient: bool = True) -> list[FrameRef]:
        """Show frames, the next one once the detector is done with the last: the newest wins.

        Args:
            image: What is to be seen.
            frames: How many.
            patient: False: do not wait for a detector that cannot be done with any.
        """
        refs = []
        for _ in range(frames):
            done = self.done()
            refs.append(await self.show(image))
            await asyncio.sleep(STEP_NS / 1e9)
            if patient:
                await until(lambda done=done: self.done() > done)  # type: ignore[misc]
        return refs

    def say(self, status: topics.OnlineOffline) -> None:
        assert self._bus.send(topics.CAMERA_STATUS, status, camera=self.name)

    def close(self) -> None:
        self._writer.close()


class Rig:
    """The detector, and everyone around it."""

    def __init__(self, bus: Bus, config: Config, cameras: dict[str, Camera]) -> None:
        self.bus = bus
        self.config = config
        self.cameras = cameras
        self.heard: list[CropMessage] = []
        self.statuses: list[tuple[str, str]] = []
        self.registry = CollectorRegistry()
        self.health = Health()
        self.detector: asyncio.Task[None] | None = None
        self._lives = 0
        self._crops = bus.subscribe(topics.CROPS)
        self._statuses = bus.subscribe(topics.STATUS)
        for name, camera in cameras.items():
            camera.done = partial(self.done, name)

    @property
    def yard(self) -> Camera:
        return self.cameras["yard"]

    def start(self) -> None:
        """Start a detector; a second time it is a new one."""
        self._lives = self.statuses.count(("detector", "online"))
        self.registry, self.health = CollectorRegistry(), Health()
        context = Context("detector", self.registry, self.health)
        self.detector = asyncio.create_task(serve(self.config, context))

    async def stopped(self) -> None:
        """Wait until the detector stops by itself; raise what stopped it."""
        assert self.detector is not None
        stopped, self.detector = self.detector, None
        async with asyncio.timeout(PATIENCE_S):
            await stopped

    async def stop(self) -> None:
        if self.detector is not None:
            self.detector.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.detector
            self.detector = None

    async def ready(self) -> None:
        """Wait until it can do its work, has greeted the broker and hears frames."""
        await until(self.is_ready)
        await until(lambda: self.statuses.count(("detector", "online")) > self._lives)
        strangers, camera = self.strangers(), next(iter(self.cameras.values()))
        while self.strangers() == strangers:
            stranger = camera.ref(camera="nobody", id="nobody-1", captured_ns=1)
            assert self.bus.send(topics.FRAMES, stranger, camera="nobody")
            await asyncio.sleep(0.1)

    def is_ready(self) -> bool:
        if self.detector is not None and self.detector.done():
            self.detector.result()
        return self.health.ready()[0]

    def of(self, kind: type[Any], camera: str = "yard") -> list[Any]:
        """Return the messages of a kind heard so far."""
        return [m for m in self.heard if isinstance(m, kind) and m.camera == camera]

    def crops(self, camera: str = "yard") -> list[Crop]:
        return self.of(Crop, camera)

    def ended(self, camera: str = "yard") -> list[TrackEnded]:
        return self.of(TrackEnded, camera)

    def seen(self, camera: str = "yard") -> list[Seen]:
        return self.of(Seen, camera)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"secondlook_detector_{name}", labels) or 0.0

    def dropped(self, cause: str, camera: str = "yard") -> float:
        return self.counted("frames_dropped_total", camera=camera, cause=cause)

    def strangers(self) -> float:
        """How many frames came of cameras that are not configured."""
        return self.dropped("unknown_camera", "")

    def done(self, camera: str) -> float:
        """How many frames of a camera were looked at or dropped."""
        names = ("secondlook_detector_frames_total", "secondlook_detector_frames_dropped_total")
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        mine = [each for each in samples if each.name in names and each.labels["camera"] == camera]
        return sum(sample.value for sample in mine)

    def frames(self, camera: str = "yard") -> float:
        return self.counted("frames_total", camera=camera)

    async def listen(self) -> None:
        """Hear what the detector says, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_crops())
            group.create_task(self._hear_statuses())

    async def _hear_crops(self) -> None:
        async for delivery in self._crops:
            self.heard.append(delivery.message)

    async def _hear_statuses(self) -> None:
        async for delivery in self._statuses:
            self.statuses.append((delivery.levels["service"], delivery.message))


def configured(broker: Broker, url: str, folder: Path, **detector: Any) -> Config:
    cameras = detector.pop("cameras", {"yard": {}, "gate": {}})
    deadline_s = detector.pop("deadline_s", PATIENCE_S)
    return Config.model_validate(
        {
            "mqtt": {"port": broker.port, "keepalive_s": KEEPALIVE_S},
            "triton": {"url": url, "deadline_s": deadline_s},
            "frames": {"directory": folder / "frames"},
            "cameras": {name: {"source": "synthetic:", **own} for name, own in cameras.items()},
            "detector": {
                "model": "colours",
                "max_age_ms": 60_000,
                "spool": {"directory": folder / "spool"},
                **detector,
            },
        }
    )


@contextlib.asynccontextmanager
async def rigged(
    broker: Broker, url: str, folder: Path, *, start: bool = True, **detector: Any
) -> AsyncIterator[Rig]:
    """Run a detector with everyone around it."""
    config = configured(broker, url, folder, **detector)
    bus = Bus(config.mqtt, service="a-test")
    cameras = {name: Camera(bus, folder / "frames", name) for name in config.cameras}
    rig = Rig(bus, config, cameras)
    async with opened(bus):
        listening = asyncio.create_task(rig.listen())
        try:
            if start:
                rig.start()
                await rig.ready()
            yield rig
        finally:
            await rig.stop()
            listening.cancel()
            for camera in cameras.values():
                camera.close()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
