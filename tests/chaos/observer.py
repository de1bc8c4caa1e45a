"""Hears everything on the bus and writes it down for the books. It is never killed."""

import asyncio
import time
from collections.abc import Callable
from typing import Self

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.messages import Blind, FrameRef, Seen, Verdict
from tests.chaos.recovery import Heard
from tests.chaos.truth import Run


class Observer:
    """What an independent listener knows.

    Args:
        bus: Of its own.
        seed_at: Returns the scene's seed of a run that began at a Unix time.
    """

    def __init__(self, bus: Bus, seed_at: Callable[[int], int]) -> None:
        self.runs: dict[str, Run] = {}
        self.heard: list[Heard] = []
        self.judged: list[tuple[int, Verdict]] = []
        """With the Unix time at which it came."""
        self.blinds: list[Blind] = []
        self._seed_at = seed_at
        self._frames = bus.subscribe(topics.FRAMES)
        self._crops = bus.subscribe(topics.CROPS)
        self._verdicts = bus.subscribe(topics.VERDICTS)
        self._blinds = bus.subscribe(topics.BLIND)
        self._services = bus.subscribe(topics.STATUS)
        self._cameras = bus.subscribe(topics.CAMERA_STATUS)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        work = (
            self._hear_frames(),
            self._hear_crops(),
            self._hear_verdicts(),
            self._hear_blinds(),
            self._hear_services(),
            self._hear_cameras(),
        )
        self._tasks = [asyncio.create_task(each) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def replayed(self) -> None:
        """Note that the subscriber has got the end of a replay that it asked for."""
        self.heard.append(Heard(time.time_ns(), "replayed", "subscriber"))

    def _take(self, ref: FrameRef) -> None:
        run = self.runs.get(ref.run)
        if run is None:
            run = Run(ref.camera, ref.run, self._seed_at(ref.captured_ns), ref.media_ns)
            self.runs[ref.run] = run
        run.add(ref.media_ns, ref.captured_ns)

    async def _hear_frames(self) -> None:
        async for delivery in self._frames:
            self._take(delivery.message)

    async def _hear_crops(self) -> None:
        async for delivery in self._crops:
            message = delivery.message
            if isinstance(message, Seen):
                self.heard.append(
                    Heard(
                        delivery.received_ns,
                        "seen",
                        message.camera,
                        captured_ns=message.captured_ns,
                    )
                )

    async def _hear_verdicts(self) -> None:
        async for delivery in self._verdicts:
            self.judged.append((delivery.received_ns, delivery.message))

    async def _hear_blinds(self) -> None:
        async for delivery in self._blinds:
            self.blinds.append(delivery.message)

    async def _hear_services(self) -> None:
        async for delivery in self._services:
            name = delivery.levels["service"]
            self.heard.append(Heard(delivery.received_ns, "status", name, delivery.message))

    async def _hear_cameras(self) -> None:
        async for delivery in self._cameras:
            name = delivery.levels["camera"]
            self.heard.append(Heard(delivery.received_ns, "status", name, delivery.message))
