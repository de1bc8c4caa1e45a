"""Runs the detector and the classifier on cameras that are played, and measures what comes out.

    python -m benchmarks.flow --cameras 4 --size 768x432 --fps 15 --every 1

The stack is the product's own (broker, Triton, services), but for the producers: `feeding` plays
them. With `--groups` the cameras are split over that many stacks on one Triton, as a large
installation splits them. Frames are counted by the detector; delays are those of every verdict,
from capture to a subscriber.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from rich.console import Console

from benchmarks.counted import Counts, computed, means_ms, scraped
from benchmarks.machine import cpu_seconds, percentile, this_machine
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery, Subscription
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.folders import temporary
from secondlook.local.stack import Stack, Wish, running
from secondlook.local.supervisor import Part

M = TypeVar("M")
PARTS = ("feeding", "broker", "triton", "detector", "classifier")
SETTLE_S = 4.0
"""Cameras run this long before anything is counted."""
FRAMES_KEPT = 12
"""Room in the frame store for each camera."""


@dataclass(frozen=True)
class Load:
    """What the cameras offer."""

    cameras: int = 1
    size: str = "1920x1080"
    fps: float = 15.0
    """Of each camera; 0: they say nothing."""
    every: int = 1
    """A gun is in view in every so many frames; 0: in none."""
    groups: int = 1
    link: bool = False
    """The cameras cost nothing: see `feeding`."""
    detector: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the detector's configuration."""


@dataclass
class Flow:
    """What came out."""

    load: Load
    seconds: float = 0.0
    offered: float = 0.0
    """Frames that the cameras announced."""
    late: float = 0.0
    """Frames that the cameras were too slow to announce: the benchmark's own limit."""
    frames: float = 0.0
    """Frames that the detector took the whole way."""
    by_camera: dict[str, float] = field(default_factory=dict)
    """Of these, by camera."""
    dropped: dict[str, float] = field(default_factory=dict)
    looks: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    stage_ms: dict[str, float] = field(default_factory=dict)
    delays_ms: list[float] = field(default_factory=list)
    """From capture to a subscriber's verdict, in the order they came."""
    alerts: int = 0

    @property
    def frames_per_s(self) -> float:
        """Frames through the detector, per second."""
        return self.frames / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Processor time per frame in detector, classifier and broker, milliseconds."""
        ours = sum(self.cpu_s[name] for name in ("detector", "classifier", "broker"))
        return 1000 * ours / max(1.0, self.frames)

    @property
    def growth(self) -> float:
        """Median delay of the second half by that of the first: near 1 if no queue grows."""
        half = len(self.delays_ms) // 2
        before, after = self.delays_ms[:half], self.delays_ms[half:]
        return percentile(after, 0.5) / percentile(before, 0.5) if half else float("nan")


@contextlib.asynccontextmanager
async def stacks(
    load_: Load, folder: Path, *, models: Path | None, platform: str
) -> AsyncIterator[list[Stack]]:
    """Run the stacks of a load, and its cameras; the first one's Triton serves all."""
    async with contextlib.AsyncExitStack() as held:
        started: list[Stack] = []
        wishes: list[Wish] = []
        for group in range(load_.groups):
            own = folder / f"group{group}"
            own.mkdir()
            settings = _settings(load_, group)
            if started:
                settings["triton"] = {"url": started[0].triton.url}
            path = own / "config.yaml"
            path.write_text(yaml.safe_dump(settings))
            first = not started
            wish = Wish(path, load(path), models=models, platform=platform, own_triton=first)
            wishes.append(wish)
            started.append(await held.enter_async_context(running(wish, own, lambda *_: None)))
        starting = zip(started, wishes, strict=True)
        await asyncio.gather(*(_start(stack, wish) for stack, wish in starting))
        if load_.fps:
            for group, stack in enumerate(started):
                _feed(stack, load_, folder / f"group{group}")
        yield started


async def _start(stack: Stack, wish: Wish) -> None:
    quiet = Console(quiet=True)
    await start_all(stack, wish, quiet, services=["classifier", "detector"])


def _settings(load_: Load, group: int) -> dict[str, Any]:
    names = [f"cam{number}" for number in range(load_.cameras)][group :: load_.groups]
    width, height = map(int, load_.size.split("x"))
    room_mb = 1 + FRAMES_KEPT * len(names) * width * height * 3 // 1_000_000
    return {
        "cameras": {name: {"source": "synthetic:"} for name in names},
        "frames": {"max_mb": max(room_mb, 64)},
        "detector": dict(load_.detector),
        "log": {"level": "warning"},
    }


def _feed(stack: Stack, load_: Load, folder: Path) -> None:
    said = folder / "said.json"
    argv = [sys.executable, "-m", "benchmarks.feeding", "--config", str(folder / "config.yaml")]
    argv += ["--size", load_.size, "--fps", str(load_.fps), "--every", str(load_.every)]
    argv += ["--said", str(said), *(["--link"] if load_.link else [])]
    for setting in stack.settings:
        argv += ["--set", setting]
    stack.supervisor.start(Part("feeding", argv, partial(_exists, said)))


async def _exists(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240 - in memory, for the supervisor


@dataclass
class _Reading:
    at_s: float
    fed: Counter[str]
    counted: Counts
    cpu_s: dict[str, float]
    computed: tuple[int, float]


async def _reading(running_: list[Stack], folder: Path) -> _Reading:
    fed: Counter[str] = Counter()
    counted: Counts = {}
    for group, stack in enumerate(running_):
        fed.update(json.loads((folder / f"group{group}" / "said.json").read_text()))
        for service in ("detector", "classifier"):
            for key, value in (await scraped(stack.metrics[service])).items():
                counted[key] = counted.get(key, 0.0) + value
    cpu_s = {part: cpu_seconds(s.supervisor.pid(part) for s in running_) for part in PARTS}
    asked = await computed(running_[0].triton.url, "yolov5")
    return _Reading(time.monotonic(), fed, counted, cpu_s, asked)


async def measure(
    load_: Load, seconds: float, *, models: Path | None = None, platform: str = "python"
) -> Flow:
    """Run a load for some seconds, and return what came out of it."""
    with temporary("secondlook-benchmark-") as folder:
        async with (
            stacks(load_, folder, models=models, platform=platform) as running_,
            contextlib.AsyncExitStack() as open_,
        ):
            for stack in running_:
                await stack.supervisor.ready("feeding", 60)
            buses = [
                await open_.enter_async_context(Bus(stack.mqtt, service="benchmark"))
                for stack in running_
            ]
            verdicts = [bus.subscribe(topics.VERDICTS, limit=100_000) for bus in buses]
            alerts = [bus.subscribe(topics.ALERTS, limit=10_000) for bus in buses]
            await asyncio.sleep(SETTLE_S)
            for heard_so_far in verdicts:
                await _all(heard_so_far)
            for told_so_far in alerts:
                await _all(told_so_far)
            before = await _reading(running_, folder)
            await asyncio.sleep(seconds)
            after = await _reading(running_, folder)
            found = _difference(load_, before, after)
            heard = [delivery for each in verdicts for delivery in await _all(each)]
            for delivery in sorted(heard, key=lambda d: d.received_ns):
                captured_ns = delivery.message.frame.captured_at.timestamp() * 1e9
                found.delays_ms.append((delivery.received_ns - captured_ns) / 1e6)
            told = [delivery for each in alerts for delivery in await _all(each)]
            found.alerts = sum(delivery.message.event == "new" for delivery in told)
            return found


async def _all(heard: Subscription[M]) -> list[Delivery[M]]:
    return await heard.batch(len(heard)) if len(heard) else []


def _difference(load_: Load, before: _Reading, after: _Reading) -> Flow:
    found = Flow(load_, after.at_s - before.at_s)
    found.offered = after.fed["sent"] - before.fed["sent"]
    found.late = after.fed["late"] - before.fed["late"]
    found.cpu_s = {part: after.cpu_s[part] - before.cpu_s[part] for part in PARTS}
    for (name, labels), value in after.counted.items():
        gained = value - before.counted.get((name, labels), 0.0)
        said = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if name == "detector_frames_total":
            found.frames += gained
            found.by_camera[said["camera"]] = gained
        elif name == "detector_looks_total":
            found.looks += gained
        elif name == "detector_frames_dropped_total" and gained:
            cause = said["cause"]
            found.dropped[cause] = found.dropped.get(cause, 0.0) + gained
    for name, ms in means_ms(before.counted, after.counted).items():
        if match := re.fullmatch(r'detector_(?:stage stage="(\w+)"|inference)', name):
            found.stage_ms[match[1] or "infer"] = ms
    calls, seconds = (b - a for a, b in zip(before.computed, after.computed, strict=True))
    if calls:
        found.stage_ms["compute"] = 1000 * seconds / calls
    return found


def lines(found: Flow) -> list[str]:
    """Return what was measured, for people."""
    load_, delays = found.load, found.delays_ms
    cores = {part: f"{s / found.seconds:.2f}" for part, s in found.cpu_s.items()}
    guns = f"a gun in every {load_.every}. frame" if load_.every else "no gun"
    offered = (
        f"offered {found.offered / found.seconds:.1f} frames/s ({found.late:.0f} late), "
        f"through the detector {found.frames_per_s:.1f}, dropped {found.dropped}"
    )
    slow = (
        f"capture to verdict p50 {percentile(delays, 0.5):.0f}, p99 {percentile(delays, 0.99):.0f} "
        f"ms, second half by first {found.growth:.2f}"
    )
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(found.stage_ms.items()))
    return [
        (
            f"{load_.cameras} cameras {load_.size} at {load_.fps:g} frames/s, {guns}, "
            f"{load_.groups} stack(s), {dict(load_.detector)}"
        ),
        f"  {offered}",
        f"  {found.looks:.0f} looks, {found.alerts} new alerts; {slow}",
        (
            f"  cores in use: {', '.join(f'{part} {used}' for part, used in cores.items())}; "
            f"detector, classifier and broker {found.cpu_ms:.2f} ms a frame"
        ),
        f"  milliseconds: {stages}",
    ]


@click.command()
@click.option("--cameras", default=1, show_default=True)
@click.option("--size", default="1920x1080", show_default=True, help="WIDTHxHEIGHT of a frame.")
@click.option("--fps", default=15.0, show_default=True, help="Of each camera.")
@click.option("--every", default=1, show_default=True, help="A gun in every so many; 0: none.")
@click.option("--groups", default=1, show_default=True, help="Stacks that share the cameras.")
@click.option("--link", is_flag=True, help="Cameras that cost nothing.")
@click.option("--in-flight", default=4, show_default=True, help="detector.in_flight")
@click.option("--max-batch", default=1, show_default=True, help="detector.max_batch")
@click.option("--seconds", default=20.0, show_default=True)
@click.option("--models", type=click.Path(path_type=Path, exists=True))
@click.option("--platform", default="python", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(
    *,
    cameras: int,
    size: str,
    fps: float,
    every: int,
    groups: int,
    link: bool,
    in_flight: int,
    max_batch: int,
    seconds: float,
    models: Path | None,
    platform: str,
    json_path: Path | None,
) -> None:
    """Measure the pipeline under one load."""
    detector = {"in_flight": in_flight, "max_batch": max_batch}
    load_ = Load(cameras, size, fps, every, groups, link, detector)
    found = asyncio.run(measure(load_, seconds, models=models, platform=platform))
    print("\n".join(lines(found)))
    print(this_machine())
    if json_path:
        json_path.write_text(json.dumps(asdict(found), indent=1) + "\n")
    sys.exit(0 if found.frames else 1)


if __name__ == "__main__":
    main()
