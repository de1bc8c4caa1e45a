"""A whole classifier as a process between a real broker and a real Triton."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic import JsonValue

from classifier_svc.__main__ import serve
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.config_file import load
from secondlook.errors import NotConnected
from secondlook.local.tritonserver import Server, TritonHome
from secondlook.messages import (
    Alert,
    Box,
    Counters,
    Crop,
    Detected,
    FrameRef,
    Replay,
    ReplayEnd,
    Seen,
    TrackEnded,
    Verdict,
    moment_of,
)
from secondlook.service import Context, Health
from tests.integration.broker_fixtures import KEEPALIVE_S, Broker, opened
from tests.integration.triton_fixtures import MODELS, write_config

LABELS = "small_gun,big_gun,phone,umbrella,empty"
RED, BLUE, GREEN = (0, 0, 250), (250, 0, 0), (0, 250, 0)
GREY, WHITE = (120, 120, 120), (255, 255, 255)
PATIENCE_S = 60
HEARD = (
    topics.ALERTS,
    topics.LAST,
    topics.STATE,
    topics.SNAPSHOTS,
    topics.VERDICTS,
    topics.EVENTS,
    topics.COUNTERS,
    topics.BLIND,
    topics.DEAD_LETTERS,
    topics.STATUS,
    topics.REPLAYED,
    topics.CONFIG,
)


def add_verdicts(repository: Path) -> Path:
    """Add the classifier that judges by colour; return the repository."""
    folder = repository / "efficientnet_b0"
    write_config(
        folder,
        dims=(16, 16, 3),
        max_batch=16,
        outputs=(("scores", (5,)),),
        labels=LABELS,
        output="probabilities",
    )
    (folder / "1").mkdir(exist_ok=True)
    shutil.copy(MODELS / "verdicts.py", folder / "1" / "model.py")
    return repository


@pytest.fixture(scope="session")
def verdicts_server(
    triton_home: TritonHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a Triton with that classifier; tests must leave it running."""
    folder = tmp_path_factory.mktemp("verdicts")
    with Server(triton_home, add_verdicts(folder / "models"), folder / "log.txt") as server:
        yield server


@pytest.fixture
def mortal_server(triton_home: TritonHome, tmp_path: Path) -> Iterator[Server]:
    """Lend a server that is not started yet, for a test that kills it."""
    server = Server(triton_home, add_verdicts(tmp_path / "models"), tmp_path / "log.txt")
    yield server
    server.stop()


def picture(colour: tuple[int, int, int]) -> bytes:
    image = np.full((60, 60, 3), colour, np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


class Rig:
    """The classifier, a detector's pen, and everything that is said."""

    def __init__(self, bus: Bus, broker: Broker, server: Server, folder: Path, **changes: Any):
        self.bus = bus
        self.broker = broker
        self.server = server
        self.folder = folder
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.task: asyncio.Task[None] | None = None
        self._media_ns = time.monotonic_ns()
        self._crops: dict[str, int] = {}
        config = {
            "cameras": {"yard": {"source": "synthetic:"}, "door": {"source": "synthetic:"}},
            "mqtt": {"port": broker.port, "keepalive_s": KEEPALIVE_S},
            "triton": {"url": server.url, "deadline_s": PATIENCE_S},
            "frames": {"directory": str(folder / "frames")},
            "metrics": {"classifier": None},
        }
        for path, value in ({"log": {"levels": {"classifier_svc": "debug"}}} | changes).items():
            config.setdefault(path, {})
            config[path] = {**config[path], **value}  # type: ignore[dict-item]
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.database = folder / "data" / "secondlook.sqlite3"
        self.log = folder / "classifier.log"

    # The classifier, in this process or in one that can be killed.

    async def live(self) -> None:
        """Run it in this process, which starts sooner, until it has said how things stand."""
        before = self.statuses("classifier").count("online")
        handler = logging.FileHandler(self.log)
        logging.getLogger("classifier_svc").addHandler(handler)
        self.context = context = Context("classifier", CollectorRegistry(), Health())
        self.task = asyncio.create_task(serve(load(self.config), context))
        self._handler = handler
        # It says `online` once it hears: crops that come sooner would be lost.
        await self.until(lambda: self.statuses("classifier").count("online") > before)
        await self.until(lambda: len(self.said(topics.COUNTERS)) >= 2 and context.health.ready()[0])

    async def die(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            self.task = None
            logging.getLogger("classifier_svc").removeHandler(self._handler)
            self._handler.close()

    def start(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "classifier_svc", "--config", str(self.config), *arguments],
                stderr=log,
            )

    async def started(self, *arguments: str) -> None:
        """Start it and wait until it says `online`."""
        # An earlier one that was killed may have said it once more: its end comes after that.
        await self.until(lambda: self.statuses("classifier")[-1:] != ["online"])
        before = self.statuses("classifier").count("online")
        self.start(*arguments)
        await self.until(lambda: self.statuses("classifier").count("online") > before)

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, how)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the database beside the classifier."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as db:
            return db.execute(query).fetchall()

    async def delivered(self) -> None:
        """Wait until it has noted that the broker took everything.

        What was heard is not yet noted: whoever is stopped in between says it once more.
        """
        waits = "SELECT count(*) FROM outbox WHERE delivered_ns IS NULL"
        await self.until(lambda: self.rows(waits) == [(0,)])

    # What is said.

    async def until(self, condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    if self.task is not None and self.task.done():
                        self.task.result()
                    if self.process is not None and self.process.poll() is not None:
                        raise AssertionError(f"it ended:\n{self.log.read_text()[-3000:]}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            said = [(where, levels) for where, levels, _ in self.heard]
            raise AssertionError(f"{said}\n{self.log.read_text()[-3000:]}") from None

    def said(self, topic: topics.Topic[Any], **levels: str) -> list[Any]:
        return [
            message
            for where, found, message in self.heard
            if where == topic.pattern and levels.items() <= found.items()
        ]

    def order(self, *kinds: topics.Topic[Any]) -> list[str]:
        wanted = {topic.pattern for topic in kinds}
        return [where.partition("/")[0] for where, _, _ in self.heard if where in wanted]

    def alerts(self) -> list[Alert]:
        return self.said(topics.ALERTS)

    def verdicts(self) -> list[Verdict]:
        return self.said(topics.VERDICTS)

    def state(self, label: str, camera: str = "yard") -> str | None:
        """The newest state of a label."""
        return next(reversed(self.said(topics.STATE, camera=camera, label=label)), None)

    def counters(self, camera: str = "yard") -> Counters:
        told: list[Counters] = self.said(topics.COUNTERS, camera=camera)
        return told[-1]

    async def command(self, key: str, value: JsonValue, camera: str = "yard") -> None:
        """Send a command."""
        await self.bus.publish(topics.SET, value, camera=camera, key=key)

    def statuses(self, service: str) -> list[str]:
        return self.said(topics.STATUS, service=service)

    # What a detector says.

    def crop(
        self,
        colour: tuple[int, int, int] = RED,
        track: str = "1",
        *,
        camera: str = "yard",
        age_s: float = 0.0,
        **changes: Any,
    ) -> Crop:
        self._media_ns += 200_000_000
        number = self._crops[track] = self._crops.get(track, 0) + 1
        captured_ns = time.time_ns() - round(age_s * 1e9)
        frame = FrameRef(
            id=f"{camera}-{captured_ns}",
            camera=camera,
            run="run1",
            sequence=number,
            captured_ns=captured_ns,
            media_ns=self._media_ns,
            width=640,
            height=360,
        )
        x1 = 10 * (int(track) % 50) if track.isdigit() else 10
        fields: dict[str, Any] = {
            "id": f"{camera}-{track}.{number}",
            "camera": camera,
            "track": f"{camera}-{track}",
            "frame": frame,
            "box": Box(x1=x1, y1=10, x2=x1 + 8, y2=70),
            "region": Box(x1=x1, y1=0, x2=x1 + 100, y2=100),
            "detector": Detected(model="yolov5", version="1", label="suspect", score=0.6),
            "cause": "new",
            "track_started_ns": captured_ns,
            "track_started_media_ns": self._media_ns,
            "detected_ms": 5.0,
            "jpeg": picture(colour),
        }
        return Crop(**(fields | changes))

    async def send(self, *messages: Crop | TrackEnded | Seen) -> None:
        for message in messages:
            await self.bus.publish(topics.CROPS, message, camera=message.camera)

    async def show(self, *colours: tuple[int, int, int], track: str = "1", **more: Any) -> None:
        await self.send(*(self.crop(colour, track, **more) for colour in colours))

    async def end_track(self, track: str = "1", camera: str = "yard") -> None:
        ended = TrackEnded(
            camera=camera,
            track=f"{camera}-{track}",
            run="run1",
            media_ns=self._media_ns,
            captured_ns=time.time_ns(),
            looks=1,
        )
        await self.send(ended)

    async def watch(self, seconds: int, camera: str = "yard") -> None:
        """Say that the detector has looked for so long, without taking as long."""
        for _ in range(seconds + 1):
            await self.send(
                Seen(
                    camera=camera,
                    run="run1",
                    media_ns=self._media_ns,
                    captured_ns=time.time_ns(),
                )
            )
            self._media_ns += 1_000_000_000

    def _has_end(self, client: str) -> bool:
        answer = self.said(topics.REPLAYED, client=client)
        return any(isinstance(message, ReplayEnd) for message in answer)

    async def insist(
        self, send: Callable[[], Coroutine[Any, Any, None]], condition: Callable[[], object]
    ) -> None:
        """Send again each second, as a detector does, until it has had its effect."""
        for _ in range(PATIENCE_S):
            with contextlib.suppress(NotConnected):
                await send()
            with contextlib.suppress(AssertionError):
                return await self.until(condition, 1)
        return await self.until(condition)

    async def replayed(self, ago_s: float) -> list[Alert]:
        """Ask for alerts again until the whole answer has come."""
        since = moment_of(time.time_ns() - round(ago_s * 1e9))
        for _ in range(5):
            # Each time by another name: an answer that was given up may still come.
            client = f"tester-{time.monotonic_ns()}"
            await self.bus.publish(topics.REPLAY, Replay(since=since, client=client))
            with contextlib.suppress(AssertionError):
                await self.until(partial(self._has_end, client), 10)
                answer = self.said(topics.REPLAYED, client=client)
                return [message for message in answer if isinstance(message, Alert)]
        raise AssertionError("no replay came to its end")


@contextlib.asynccontextmanager
async def rigged(
    broker: Broker, server: Server, folder: Path, **changes: Any
) -> AsyncIterator[Rig]:
    """Build a rig; the classifier is not started yet."""
    bus = Bus(broker.mqtt(), service="tester")
    rig = Rig(bus, broker, server, folder, **changes)

    async def listen(topic: topics.Topic[Any]) -> None:
        async for delivery in subscriptions[topic.pattern]:
            rig.heard.append((topic.pattern, dict(delivery.levels), delivery.message))

    subscriptions = {topic.pattern: bus.subscribe(topic, limit=10_000) for topic in HEARD}
    async with opened(bus):
        listeners = [asyncio.create_task(listen(topic)) for topic in HEARD]
        try:
            yield rig
        finally:
            rig.end()
            await rig.die()
            for listener in listeners:
                listener.cancel()
