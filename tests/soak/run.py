"""Runs the whole system on four synthetic cameras for a long time, and measures it."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.config_file import load
from secondlook.local.stack import READY_S, SERVICES, Stack, Wish, running
from tests.soak.sampling import processes, sample
from tests.soak.trend import Point, Trend, trend_of

CAMERAS = ("yard", "gate", "hall", "roof")
PROCESSES = 11
"""Broker, Triton and its two models, three services, and one that captures for each camera: one
that dies is replaced by another."""
LABELS = "small_gun,big_gun,phone"
WARM_UP_S = 600.0
WARM_UP_PART = 0.25
"""Of a short run."""
SILENT_S = 180.0
"""A camera shows a card every 7 s, most are guns, and a place is silenced for 30 s: this long
without a `new` alert is no chance."""
KEPT_S = 240
"""Whatever is kept for a time is kept for this at most, which is less than the warm-up: from then
on as much is deleted as comes, and what grows is not meant to."""
TELL_EVERY_S = 300.0
CONFIG = """\
cameras:
{cameras}
frames: {{max_mb: 64}}
detector: {{spool: {{directory: {folder}/spool}}}}
classifier: {{database: {folder}/classifier.sqlite3, hold_s: {hold_s}}}
alerts: {{replay_s: {kept_s}}}
retention: {{days: {days}}}
"""
CAMERA = """\
  {name}:
    source: 'synthetic:?seed={seed}&width=320&height=240&fps=2&labels={labels}'
    fps: 2
"""

BOUNDS = {
    "resident MB": 6.0,
    "anonymous MB": 6.0,
    "open files": 1.0,
    "MB": 2.0,
    "messages": 10.0,
}
"""By unit, what a series may gain in an hour. Memory: 6 MB an hour is 1 GB a week, the
time between two updates, on a board that has 8 GB for everything. Open files: the usual limit is
1024, which one more an hour reaches after six weeks. Folders: 2 MB an hour is 17 GB a year, as
much as a small disk has left. Waiting messages: of about 2000 in an hour one half percent."""


@dataclass(slots=True)
class Soaked:
    """A run."""

    began_s: float
    warm_up_s: float
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """Seconds since the beginning, and what was measured."""
    news: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in CAMERAS})
    """By camera: seconds since the beginning at which a `new` alert came."""
    messages: Counter[str] = field(default_factory=Counter)
    """Alerts by event."""
    processes: set[int] = field(default_factory=set)
    """Ids of all that ever ran."""
    restarts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Lines of the log that tell of a fault in a service."""

    def trends(self) -> dict[str, tuple[Trend, float]]:
        """Return how each series went, and its bound."""
        series: dict[str, list[Point]] = {}
        for at_s, found in self.samples:
            if at_s >= self.warm_up_s:
                for name, value in found.items():
                    series.setdefault(name, []).append((at_s, value))
        bounds = {name: BOUNDS[name.rpartition(", ")[2]] for name in series}
        return {
            name: (trend_of(points, bounds[name]), bounds[name])
            for name, points in series.items()
            if len(points) >= 4
        }

    def longest_silence_s(self, camera: str) -> float:
        """Return the longest time without a `new` alert of a camera."""
        ends = [0.0, *self.news[camera], self.samples[-1][0] if self.samples else 0.0]
        return max(later - earlier for earlier, later in itertools.pairwise(ends))

    def failures(self) -> list[str]:
        """Return what is not as promised, in words."""
        growing = [name for name, (trend, _) in self.trends().items() if trend.verdict == "growing"]
        silent = {name: self.longest_silence_s(name) for name in CAMERAS}
        return [
            *(f"{name} grows" for name in growing),
            *(f"{name}: {s:.0f} s without an alert" for name, s in silent.items() if s > SILENT_S),
            *(f"{name} was started {count} times" for name, count in self.restarts.items()),
            *([f"{len(self.processes)} processes ran, not {PROCESSES}"] * self._others_ran),
            *(f"in the log: {line}" for line in self.faults[:10]),
        ]

    @property
    def _others_ran(self) -> bool:
        return len(self.processes) != PROCESSES


def write_config(folder: Path) -> Path:
    """Write the configuration of four small cameras."""
    cameras = "".join(
        CAMERA.format(name=name, seed=seed, labels=LABELS) for seed, name in enumerate(CAMERAS, 1)
    )
    path = folder / "config.yaml"
    path.write_text(
        CONFIG.format(
            cameras=cameras, folder=folder, kept_s=KEPT_S, hold_s=KEPT_S // 2, days=KEPT_S / 86_400
        )
    )
    return path


async def soak(folder: Path, seconds: float, every_s: float, tell: Callable[[str], None]) -> Soaked:
    """Run and measure.

    Args:
        folder: Where everything is kept.
        seconds: How long, from when everything is ready.
        every_s: Between two measurements.
        tell: Gets a line now and then.
    """
    async with _stack(folder) as stack, Bus(stack.mqtt, service="soak") as bus:
        alerts = bus.subscribe(topics.ALERTS)
        result = Soaked(time.monotonic(), min(WARM_UP_S, WARM_UP_PART * seconds))
        hearing = asyncio.create_task(_hear(alerts, result))
        try:
            await _measure(stack, result, seconds, every_s, tell)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        result.restarts = {n: count for n, count in stack.supervisor.starts.items() if count > 1}
    result.faults = _faults(folder / "parts.log")
    return result


@contextlib.asynccontextmanager
async def _stack(folder: Path) -> AsyncIterator[Stack]:
    path = write_config(folder)
    with (folder / "parts.log").open("a", buffering=1) as log:

        def say(name: str, line: str) -> None:
            log.write(f"{time.strftime('%H:%M:%S')} {name} | {line}\n")

        async with running(Wish(path, load(path)), folder, say) as stack:
            stack.start_broker()
            await stack.start_triton(lambda _: None)
            for name in SERVICES:
                stack.start_service(name)
            for name in ("broker", "triton", *SERVICES):
                await stack.supervisor.ready(name, READY_S)
            yield stack


async def _hear(alerts, result: Soaked) -> None:
    async for delivery in alerts:
        alert = delivery.message
        result.messages[alert.event] += 1
        if alert.event == "new":
            result.news[alert.camera].append(time.monotonic() - result.began_s)


async def _measure(
    stack: Stack, result: Soaked, seconds: float, every_s: float, tell: Callable[[str], None]
) -> None:
    told_s = 0.0
    while (at_s := time.monotonic() - result.began_s) < seconds:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one has just died
            pids = processes(_parts(stack))
            result.processes.update(pids.values())
            result.samples.append((at_s, sample(pids, stack._folder, stack.frames)))
        if at_s - told_s >= TELL_EVERY_S:
            told_s = at_s
            tell(f"{at_s / 60:5.1f} min: {sum(map(len, result.news.values()))} new alerts")
        await asyncio.sleep(min(every_s, seconds - at_s))


def _parts(stack: Stack) -> dict[str, int]:
    pids = {name: stack.supervisor.pid(name) for name in ("broker", "triton", *SERVICES)}
    return {name: pid for name, pid in pids.items() if pid is not None}


def _faults(log: Path) -> list[str]:
    words = ("fault of its own", "Traceback", "cannot run")
    return [line for line in log.read_text().splitlines() if any(word in line for word in words)]
