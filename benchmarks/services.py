"""What the services cost and how fast they are without any load: start, idleness, one hop.

    python -m benchmarks.services

*Start*: from nothing running to every part ready. *Idle*: processor time and memory of each
service while one 1080p camera at 5 frames/s shows a picture that never changes, with the motion
gate on; what decoding that clip alone costs is measured apart and taken off. *Hop*: from the
hand-over of a message to its reader, through the broker: a frame's reference (QoS 0) until its
frame is mapped, and a crop of 20 kB (QoS 1).
"""

import asyncio
import json
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.machine import cpu_seconds, percentile, this_machine
from secondlook import samples, topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameReader, FrameWriter
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.folders import temporary
from secondlook.local.stack import SERVICES, Stack, Wish, running

CROP_BYTES = 20_000
SIZE, FPS = (1920, 1080), 5.0
SETTLE_S = 5.0
PER_S = 50
MB = 1_000_000


@dataclass
class Found:
    """What was measured."""

    start_s: float = 0.0
    """From nothing to every part ready."""
    idle_cores: dict[str, float] = field(default_factory=dict)
    """Processor time by service, as parts of one core."""
    decoding_cores: float = 0.0
    """What of that is decoding, as a part of one core."""
    memory_mb: dict[str, float] = field(default_factory=dict)
    """Resident memory by service, in megabytes."""
    hop_ms: dict[str, list[float]] = field(default_factory=dict)


def resident_mb(pid: int | None) -> float:
    """Return the resident memory of a process, in megabytes of 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / MB
    return float("nan")


def children(pid: int | None) -> list[int]:
    """Return the processes that a process has started."""
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in paths for child in path.read_text().split()]


def still_clip(path: Path, seconds: float) -> None:
    """Write a clip of a noisy wall that stands still: MPEG-4, `SIZE`, `FPS`."""
    wall = np.random.default_rng(1).integers(90, 150, (SIZE[1] // 4, SIZE[0] // 4, 3), np.uint8)
    picture = cv2.resize(wall, SIZE, interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    for _ in range(round(FPS * seconds)):
        writer.write(picture)
    writer.release()


def decoding_s(path: Path) -> float:
    """Return the processor seconds that a frame of the clip costs to decode, and nothing else."""
    clip = cv2.VideoCapture(str(path))
    began, frames = time.process_time(), 0
    while clip.read()[0]:
        frames += 1
    clip.release()
    return (time.process_time() - began) / max(1, frames)


async def measure(idle_s: float, messages: int) -> Found:
    """Start a stack, let it watch a wall, and send messages through its broker."""
    found = Found()
    with temporary("secondlook-benchmark-") as folder:
        still, path = folder / "still.mp4", folder / "config.yaml"
        still_clip(still, idle_s + 3 * SETTLE_S)
        found.decoding_cores = FPS * decoding_s(still)
        camera = {"source": f"file:{still}", "fps": FPS, "motion": {"enabled": True}}
        path.write_text(yaml.safe_dump({"cameras": {"cam": camera}, "log": {"level": "error"}}))
        wish = Wish(path, load(path))
        began = time.monotonic()
        async with running(wish, folder, lambda *_: None) as stack:
            quiet = Console(quiet=True)
            await start_all(stack, wish, quiet, services=["classifier", "detector"])
            found.start_s = time.monotonic() - began
            stack.start_service("producers")
            await asyncio.sleep(SETTLE_S)
            await _idle(stack, idle_s, found)
            await _hops(stack, messages, found)
    return found


async def _idle(stack: Stack, seconds: float, found: Found) -> None:
    pids = {name: stack.supervisor.pid(name) for name in (*SERVICES, "broker")}
    before = {name: cpu_seconds([pid]) for name, pid in pids.items()}
    await asyncio.sleep(seconds)
    for name, pid in pids.items():
        found.idle_cores[name] = (cpu_seconds([pid]) - before[name]) / seconds
        found.memory_mb[name] = resident_mb(pid)
    for child in children(pids["producers"]):
        found.memory_mb["capture, one 1080p camera"] = resident_mb(child)


async def _hops(stack: Stack, messages: int, found: Found) -> None:
    ref = samples.FRAME.model_copy(update={"width": SIZE[0], "height": SIZE[1]})
    still = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    large = samples.CROP.model_copy(update={"jpeg": b"\xff\xd8\xff" + bytes(CROP_BYTES)})
    async with (
        Bus(stack.mqtt, service="benchmark-from") as sender,
        Bus(stack.mqtt, service="benchmark-to") as reader,
    ):
        frames = reader.subscribe(topics.FRAMES, camera=ref.camera)
        crops = reader.subscribe(topics.CROPS, camera=large.camera)
        while not (sender.connected and reader.connected):  # noqa: ASYNC110 - once
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        found.hop_ms["a 1080p frame, until it is mapped"] = hops = []
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            store = Path(folder)
            FrameWriter(store, ref.camera, 10 * ref.size_bytes).write(ref, still)
            for _ in range(messages):
                sent_ns = time.time_ns()
                sender.send(topics.FRAMES, ref, camera=ref.camera)
                [delivery] = await frames.batch(1)
                FrameReader(store).read(delivery.message)
                hops.append((time.time_ns() - sent_ns) / 1e6)
                await asyncio.sleep(1 / PER_S)
        found.hop_ms["a crop of 20 kB"] = hops = []
        for _ in range(messages):
            sent_ns = time.time_ns()
            sender.send(topics.CROPS, large, camera=large.camera)
            [heard] = await crops.batch(1)
            hops.append((heard.received_ns - sent_ns) / 1e6)
            await asyncio.sleep(1 / PER_S)


def table_of(found: Found) -> Table:
    """Return everything, with its target."""
    table = Table("measure", "value", "target")
    table.add_row("start, until every part is ready", f"{found.start_s:.1f} s", "")
    idle = sum(found.idle_cores.values()) - found.decoding_cores
    for name, cores in found.idle_cores.items():
        table.add_row(f"idle: {name}", f"{cores:.1%} of a core", "")
    table.add_row("idle: decoding, which is in it", f"{found.decoding_cores:.1%} of a core", "")
    table.add_row("idle: all without decoding", f"{idle:.1%} of a core", "<= 10 %")
    for name, mb in found.memory_mb.items():
        table.add_row(f"memory: {name}", f"{mb:.0f} MB", "<= 120 MB")
    for name, hops in found.hop_ms.items():
        half, most = percentile(hops, 0.5), percentile(hops, 0.99)
        table.add_row(f"one hop: {name}", f"p50 {half:.2f}, p99 {most:.2f} ms", "1.5, 10 ms")
    return table


@click.command()
@click.option("--idle-s", default=20.0, show_default=True, help="How long nothing happens.")
@click.option("--messages", default=500, show_default=True, help="Of each kind, for the hop.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(*, idle_s: float, messages: int, json_path: Path | None) -> None:
    """Measure start, idleness and one hop."""
    found = asyncio.run(measure(idle_s, messages))
    console = Console()
    console.print(table_of(found))
    console.print(str(this_machine()))
    if json_path:
        json_path.write_text(json.dumps(asdict(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
