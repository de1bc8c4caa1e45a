"""The status page as a process on a real broker; the test says what services would say."""

import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameWriter
from secondlook.errors import NotConnected
from secondlook.messages import Alert, Replay, ReplayEnd
from secondlook.topics import Topic
from tests.integration.broker_fixtures import Broker, free_port, wait_until_answers
from tests.integration.secured_broker import as_yaml
from tests.secondlook.page.said import alert, frame, picture

CAMERAS = ("front_door", "yard")
SERVICES = ("producers", "detector", "triton", "classifier")
WITHIN_S = 60.0
"""For things that take a second on a machine with nothing else to do."""
Answer = tuple[int, dict[str, str], bytes]


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


class Page:
    """A running page."""

    def __init__(self, folder: Path, mqtt: dict[str, Any], **settings: Any) -> None:
        self.port = free_port()
        self.folder = folder
        self.log = folder / "page.log"
        self.frames = folder / "frames"
        config = {
            "cameras": {name: {"source": "synthetic:"} for name in CAMERAS},
            "mqtt": mqtt,
            "frames": {"directory": str(self.frames)},
            "metrics": {"page": free_port()},
            "page": {"port": self.port} | settings,
        }
        self.config = folder / "config.yaml"
        self.config.write_text(as_yaml(config))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "secondlook.page", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        wait_until_answers(self.port, WITHIN_S)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(WITHIN_S)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        """Send a request; return status, headers and body."""

        def send() -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN_S)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            with contextlib.closing(connection):
                connection.request(method, path, body, named)
                answer = connection.getresponse()
                lowered = {name.lower(): value for name, value in answer.getheaders()}
                return answer.status, lowered, answer.read()

        return await asyncio.to_thread(send)


class Looking:
    """What a browser knows: the patches of `/events`, put together."""

    def __init__(self, page: Page) -> None:
        self.state: dict[str, dict[str, Any]] = {}
        self.events = 0
        self._page = page

    async def follow(self) -> None:
        """Take events for ever, and begin anew when the page has gone."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._once()
            await asyncio.sleep(0.1)

    async def _once(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._page.port, limit=1 << 24)
        try:
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            anew = False
            while line := await reader.readline():
                if line.startswith(b"event: "):
                    anew = line.startswith(b"event: all")
                if line.startswith(b"data: "):
                    self._apply(json.loads(line[6:])["patch"], anew=anew)
        finally:
            writer.close()

    def _apply(self, patch: dict[str, dict[str, Any]], *, anew: bool) -> None:
        self.events += 1
        if anew:
            self.state.clear()
        for part, entries in patch.items():
            known = self.state.setdefault(part, {})
            for name, value in entries.items():
                known[name] = value
                if value is None:
                    del known[name]

    def get(self, part: str, name: str) -> Any:
        return self.state.get(part, {}).get(name)

    def camera(self, name: str = CAMERAS[0]) -> Any:
        return self.get("cameras", name) or {}

    @property
    def summary(self) -> str:
        return " ".join(line["text"] for line in self.get("about", "summary") or [])


class World:
    """The services' side of the bus."""

    def __init__(self, bus: Bus, page: Page) -> None:
        self.bus = bus
        self.page = page
        self.feedback = bus.subscribe(topics.FEEDBACK)
        self.asked: list[Replay] = []
        self.kept: list[Alert] = []
        """What a replay answers."""
        self._replays = bus.subscribe(topics.REPLAY)
        self._writers: dict[str, FrameWriter] = {}

    async def say(self, topic: Topic[Any], message: Any, **levels: str) -> None:
        """Publish, once there is a broker."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(NotConnected):
                return await self.bus.publish(topic, message, **levels)
            await asyncio.sleep(0.1)
        raise AssertionError("there is no broker")

    async def all_well(self) -> None:
        for service in SERVICES:
            await self.say(topics.STATUS, "online", service=service)
        for camera in CAMERAS:
            await self.say(topics.CAMERA_STATUS, "online", camera=camera)

    async def alert(self, number: int = 0, **changes: Any) -> Alert:
        """Say an alert as the classifier does: its picture first."""
        said = alert(number, **changes)
        await self.say(topics.SNAPSHOTS, picture(said.snapshot_id), camera=said.camera)
        await self.say(topics.ALERTS, said, camera=said.camera, label=said.label)
        self.kept.append(said)
        return said

    async def answer_replays(self) -> None:
        """Answer `replay` as the classifier does, for ever."""
        async for delivery in self._replays:
            self.asked.append(delivery.message)
            client = delivery.message.client
            for each in self.kept:
                await self.say(topics.REPLAYED, each, client=client)
            await self.say(topics.REPLAYED, ReplayEnd(end=True), client=client)

    async def show(self, number: int, camera: str = CAMERAS[0]) -> str:
        """Store a frame and announce it; return its id."""
        ref = frame(number, camera=camera, width=640, height=360)
        if camera not in self._writers:
            self._writers[camera] = FrameWriter(self.page.frames, camera, 50_000_000)
        grey = 40 + number % 200
        self._writers[camera].write(ref, np.full((360, 640, 3), grey, np.uint8))
        await self.say(topics.FRAMES, ref, camera=camera)
        return ref.id


@contextlib.contextmanager
def served(page: Page) -> Iterator[Page]:
    """Run a page while the block runs."""
    page.start()
    try:
        yield page
    finally:
        page.kill()
        if os.environ.get("SECONDLOOK_SHOW_LOGS"):
            sys.stderr.write(page.log.read_text())


@contextlib.asynccontextmanager
async def around(broker: Broker, page: Page) -> AsyncIterator[World]:
    """Give the services' side of a broker."""
    async with Bus(broker.mqtt(), service="tester") as bus:
        world = World(bus, page)
        answering = asyncio.create_task(world.answer_replays())
        await until(lambda: bus.connected)
        try:
            yield world
        finally:
            answering.cancel()
