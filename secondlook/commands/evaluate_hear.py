"""Hears everything that is said while an evaluation plays, writes it down, opens the gates."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery
from secondlook.commands.listening import listen
from secondlook.evaluation import record
from secondlook.evaluation.record import without_pixels
from secondlook.local.watching import SECOND
from secondlook.messages import Alert, Crop, CropMessage, FrameRef, Seen, Verdict
from secondlook.topics import OnlineOffline


class Recorder:
    """Writes a record: `run.jsonl` and the crops beside it.

    Args:
        folder: Is made; an earlier record in it is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "run.jsonl"
        self._crops = folder / "crops"
        self._crops.mkdir(parents=True, exist_ok=True)
        for left in self._crops.glob("*.jpg"):
            left.unlink()
        self._file: BinaryIO = self.path.open("wb")

    def write(self, line: record.Line) -> None:
        """Write a line."""
        self._file.write(line.line())

    def crop(self, crop: Crop) -> None:
        """Write a crop and its pixels."""
        picture = self._crops / f"{crop.id}.jpg"
        picture.write_bytes(crop.jpeg)
        where = f"{self._crops.name}/{picture.name}"
        self.write(record.Cropped(crop=without_pixels(crop), picture=where))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


@dataclass
class Watched:
    """What is heard of one camera while it plays."""

    gate: int | None = None
    """The writing end of its gate."""
    frames: int = 0
    at_s: float = 0.0
    heard_s: float = 0.0
    online: bool = False
    over: bool = False


@dataclass
class Player:
    """Hears everything and writes it down; opens the gates."""

    recorder: Recorder
    cameras: dict[str, Watched] = field(default_factory=dict)
    crops: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    alerts: set[tuple[str, int]] = field(default_factory=set)
    new: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, bus: Bus) -> list[asyncio.Task[None]]:
        """Hear everything from now on."""
        return [
            listen(bus, topics.FRAMES, self._frame),
            listen(bus, topics.CROPS, self._crop),
            listen(bus, topics.VERDICTS, self._verdict),
            listen(bus, topics.ALERTS, self._alert),
            listen(bus, topics.CAMERA_STATUS, self._status),
        ]

    @property
    def waiting(self) -> int:
        """Crops without a verdict."""
        return len(self.crops - self.judged)

    def _heard(self, camera: str) -> Watched:
        watched = self.cameras.setdefault(camera, Watched())
        watched.heard_s = time.monotonic()
        self.happened.set()
        return watched

    def _frame(self, delivery: Delivery[FrameRef]) -> None:
        frame = delivery.message
        watched = self._heard(frame.camera)
        watched.frames += 1
        watched.at_s = frame.media_ns / SECOND
        self.recorder.write(record.Announced(frame=frame))

    def _crop(self, delivery: Delivery[CropMessage]) -> None:
        message = delivery.message
        watched = self._heard(message.camera)
        if not isinstance(message, Crop):
            if isinstance(message, Seen) and watched.gate is not None:
                with contextlib.suppress(BlockingIOError):
                    os.write(watched.gate, b".")
            self.recorder.write(record.Marked(marker=message))
        elif message.id not in self.crops:
            self.crops.add(message.id)
            self.recorder.crop(message)

    def _verdict(self, delivery: Delivery[Verdict]) -> None:
        verdict = delivery.message
        self._heard(verdict.camera)
        if verdict.id not in self.judged:
            self.judged.add(verdict.id)
            self.recorder.write(record.Judged(verdict=verdict))

    def _alert(self, delivery: Delivery[Alert]) -> None:
        alert = delivery.message
        if (alert.id, alert.sequence) in self.alerts:
            return
        self.alerts.add((alert.id, alert.sequence))
        self.new += alert.event == "new"
        self.recorder.write(record.Alerted(alert=alert, received_ns=delivery.received_ns))

    def _status(self, delivery: Delivery[OnlineOffline]) -> None:
        watched = self._heard(delivery.levels["camera"])
        if delivery.message == "online":
            watched.online = True
        elif watched.online:
            watched.over = True
