"""The real producers on a real broker, and what a subscriber hears of them."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameReader
from secondlook.errors import FrameExpired
from secondlook.messages import FrameRef
from tests.integration.broker_fixtures import Broker, free_port

WITHIN_S = 60.0
"""For things that take a second on a machine with nothing else to do."""


class Heard:
    """Everything the producers said, in order, and what of it could be read."""

    def __init__(self, directory: Path) -> None:
        self.log: list[tuple[str, str, Any]] = []
        """(`status` or `frame`, camera, the word or the FrameRef)."""
        self.unreadable = 0
        self.images: dict[str, Any] = {}
        """The newest picture of each camera, a mapped array."""
        self._reader = FrameReader(directory)

    def frames(self, camera: str = "yard") -> list[FrameRef]:
        return [what for kind, name, what in self.log if kind == "frame" and name == camera]

    def statuses(self, camera: str = "yard") -> list[str]:
        """The changes of a camera's status."""
        said = [what for kind, name, what in self.log if kind == "status" and name == camera]
        return [word for i, word in enumerate(said) if i == 0 or said[i - 1] != word]

    def runs(self, camera: str = "yard") -> list[str]:
        return list(dict.fromkeys(ref.run for ref in self.frames(camera)))

    def frame(self, ref: FrameRef) -> None:
        self.log.append(("frame", ref.camera, ref))
        try:
            self.images[ref.camera] = self._reader.read(ref)
        except FrameExpired:
            self.unreadable += 1


class Run:
    """A running producers service."""

    def __init__(self, process: asyncio.subprocess.Process, heard: Heard, port: int) -> None:
        self.process = process
        self.heard = heard
        self.port = port
        self.output: list[str] = []
        self.reading = asyncio.create_task(_keep_output(self))

    async def until(self, condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline or self.process.returncode is not None:
                said = "".join(self.output[-30:])
                raise AssertionError(f"it did not happen: {self.heard.log[-5:]}\n{said}")
            await asyncio.sleep(0.02)

    async def ended(self) -> int:
        """Wait until it ends by itself and all its output is here; return its exit status."""
        async with asyncio.timeout(WITHIN_S):
            status = await self.process.wait()
            await self.reading
        return status

    def said(self, words: str) -> int:
        return sum(words in line for line in self.output)

    def captures(self) -> list[int]:
        """Process ids of the capture processes."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(status.read_text().rpartition(") ")[2].split()[1])
                if parent == self.process.pid:
                    found.append(int(status.parent.name))
        return found

    async def metrics(self) -> dict[str, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        lines = [line for line in text.splitlines() if line.startswith("secondlook_")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async def stop(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def service(
    broker: Broker, directory: Path, cameras: dict[str, dict[str, Any]], **frames: Any
) -> AsyncIterator[Run]:
    """Start the producers with these cameras and listen to them."""
    port = free_port()
    config = directory / "config.yaml"
    store = directory / "frames"
    config.write_text(
        yaml.safe_dump(
            {
                "mqtt": {"port": broker.port},
                "metrics": {"producers": port},
                "frames": {"directory": str(store), "max_mb": 64} | frames,
                "cameras": cameras,
            }
        )
    )
    heard = Heard(store)
    bus, connected = Bus(broker.mqtt(), service=f"listens-{port}"), asyncio.Event()

    async def greet() -> None:
        connected.set()

    bus.on_connect(greet)
    async with bus:
        listening = [
            asyncio.create_task(_hear_frames(bus, heard)),
            asyncio.create_task(_hear_statuses(bus, heard)),
        ]
        async with asyncio.timeout(WITHIN_S):
            await connected.wait()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "producers",
            "--config",
            str(config),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        run = Run(process, heard, port)
        try:
            yield run
        finally:
            if process.returncode is None:
                await run.stop()
            await run.reading
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)


async def _keep_output(run: Run) -> None:
    assert run.process.stderr is not None
    async for line in run.process.stderr:
        run.output.append(line.decode(errors="replace"))


async def _hear_frames(bus: Bus, heard: Heard) -> None:
    async for delivery in bus.subscribe(topics.FRAMES):
        heard.frame(delivery.message)


async def _hear_statuses(bus: Bus, heard: Heard) -> None:
    async for delivery in bus.subscribe(topics.CAMERA_STATUS):
        heard.log.append(("status", delivery.levels["camera"], delivery.message))
