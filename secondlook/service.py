"""What every service does around its work: settings, logs, health, signals, exit codes.

A service is a function `serve(config, context)` that runs until it is cancelled.
"""

import asyncio
import contextlib
import gc
import logging
import logging.config
import math
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import click
from prometheus_client import CollectorRegistry, Gauge, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from secondlook import topics
from secondlook.adapters import notify
from secondlook.adapters.bus import Bus, BusStats
from secondlook.adapters.endpoint import Stats as TritonStats
from secondlook.adapters.http import serve_http
from secondlook.config import Config, Log
from secondlook.config_file import load
from secondlook.ending import DRAIN_S, leave_at_last, stay_when_wrong
from secondlook.errors import SecondLookError, exit_status
from secondlook.messages import Stats

log = logging.getLogger(__name__)

VERSION = version("secondlook")
STATS_EVERY_S = 10.0
BEAT_EVERY_S = 1.0
Serve = Callable[[Config, "Context"], Awaitable[None]]


@dataclass(eq=False)  # a registry keeps it in a set
class Health(Collector):
    """Whether a service lives, and whether it can do its work."""

    stale_after_s: float = 10.0
    stopping: bool = False
    """It was told to stop: it finishes what it has and takes nothing more."""
    _beat: float = field(default_factory=time.monotonic)
    _conditions: dict[str, tuple[bool | None, str]] = field(default_factory=dict)
    """Whether each holds, and why not; None: nobody has said so far."""

    def expect(self, *conditions: str) -> None:
        """Name conditions that must hold; it is not ready before each has been stated."""
        for condition in conditions:
            self._conditions.setdefault(condition, (None, "not known yet"))

    def set(self, condition: str, ok: bool, why: str = "") -> None:
        """State a condition of readiness; log when it changes."""
        before = self._conditions.get(condition, (None, ""))[0]
        self._conditions[condition] = (ok, why)
        if before != ok:
            # What has not come up yet is no trouble; what goes away is.
            level = logging.WARNING if before and not ok else logging.INFO
            log.log(level, "%s: %s%s", condition, "ok" if ok else "not ok", f", {why}" * bool(why))

    def beat(self) -> None:
        """Show that the event loop still turns."""
        self._beat = time.monotonic()

    def alive(self) -> tuple[bool, str]:
        """Return whether the event loop turns, and a sentence."""
        silent_s = time.monotonic() - self._beat
        return silent_s < self.stale_after_s, f"last heartbeat {silent_s:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Return whether all conditions hold, and a line for each."""
        lines = [
            f"{name}: {'ok' if ok else 'not ok'}{f', {why}' if why else ''}"
            for name, (ok, why) in sorted(self._conditions.items())
        ]
        ready = bool(self._conditions) and all(ok for ok, _ in self._conditions.values())
        if self.stopping:
            ready, lines = False, ["stopping", *lines]
        return ready and self.alive()[0], "\n".join(lines) or "starting"

    def collect(self) -> Iterator[Metric]:
        """Show the conditions as a metric."""
        family = GaugeMetricFamily(
            "secondlook_condition_ok",
            "1 while a condition of readiness holds: broker, triton, database, capture",
            labels=["condition"],
        )
        for name, (ok, _) in sorted(self._conditions.items()):
            family.add_metric([name], float(bool(ok)))
        yield family


@dataclass(frozen=True)
class Context:
    """What surrounds a running service."""

    name: str
    registry: CollectorRegistry
    health: Health


def launch(name: str, serve: Serve) -> NoReturn:
    """Run a service as this process's command line asks, and exit.

    Exit status: 0 after SIGTERM or Ctrl-C, 1 for what a restart may mend. Restarting would not
    help after 78, when the configuration or a model is wrong, and 65, when the configuration or
    the database is of a version that cannot be read.
    """

    @click.command(help=f"Run the {name} service of Second Look until SIGTERM or Ctrl-C.")
    @click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("config.yaml"),
        show_default=True,
        help="The configuration file.",
    )
    @click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override one key, for instance --set mqtt.port=8883. May be repeated.",
    )
    @click.version_option(VERSION)
    def command(path: Path, overrides: tuple[str, ...]) -> None:
        sys.exit(_run(name, serve, path, overrides))

    command()
    raise AssertionError("click exits by itself")


def _run(name: str, serve: Serve, path: Path, overrides: tuple[str, ...]) -> int:
    try:
        config = load(path, overrides)
        configure_logging(config.log)
        asyncio.run(_serve_until_signalled(name, serve, config))
    except Exception as error:
        known = _known(error)
        if known is None:
            # A fault of ours. It goes to the log, and the supervisor starts us again.
            log.exception("%s stopped by a fault of its own; please report this", name)
            return 1
        click.echo(f"{name}: {known}", err=True)
        status = exit_status(known)
        stay_when_wrong(status, path)
        return status
    return 0


def _known(error: BaseException) -> SecondLookError | None:
    """Return the error we raised on purpose, also out of a task group."""
    if isinstance(error, SecondLookError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for e in error.exceptions if (found := _known(e))), None)
    return None


async def _serve_until_signalled(name: str, serve: Serve, config: Config) -> None:
    # One collector registry per process: a test may run several services in one.
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Info("secondlook_build", "The version that runs", registry=registry).info({"version": VERSION})
    context = Context(name, registry, Health())
    registry.register(context.health)
    port = getattr(config.metrics, name)
    # What was loaded to start lives for ever: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    with serve_http(config.metrics.bind, port, registry, context.health):
        working = asyncio.ensure_future(serve(config, context))
        beating = asyncio.create_task(_beat(context.health))
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        stopped = asyncio.create_task(stopping.wait())
        log.info("%s %s starts", name, VERSION)
        notify.tell("READY=1")
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not working.done():
            log.info("stopping")
            context.health.stopping = True
            notify.tell("STOPPING=1")
            working.cancel()
            leave_at_last(name)
            await asyncio.wait({working}, timeout=DRAIN_S)
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if working.done():
                working.result()


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        ready, said = health.ready()
        state = "ready" if ready else f"not ready: {'; '.join(said.splitlines())}"
        notify.tell("WATCHDOG=1", f"STATUS={state}")
        await asyncio.sleep(BEAT_EVERY_S)


def configure_logging(settings: Log) -> None:
    """Write logs to standard error as the configuration says."""
    formatter: dict[str, object] = {
        "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        "datefmt": "%H:%M:%S",
    }
    if settings.json_lines:
        formatter = {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "module"},
        }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": settings.level.upper(), "handlers": ["stderr"]},
            "loggers": {m: {"level": level.upper()} for m, level in settings.levels.items()},
        }
    )


def counters_of(registry: CollectorRegistry) -> dict[str, float]:
    """Return every counter and gauge of ours as `name{label=value}` to its value."""
    found: dict[str, float] = {}
    for family in registry.collect():
        if not family.name.startswith("secondlook_") or family.type not in ("counter", "gauge"):
            continue
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            name = sample.name.removeprefix("secondlook_")
            found[f"{name}{{{labels}}}" if labels else name] = sample.value
    return found


async def publish_stats(bus: Bus, context: Context) -> None:
    """Publish the service's counters for ever, and keep the bus's own among its metrics."""
    watch_bus(bus, context)
    while True:
        await asyncio.sleep(STATS_EVERY_S)
        stats = Stats(
            service=context.name,
            version=VERSION,
            at=datetime.now(UTC),
            counters=counters_of(context.registry),
        )
        bus.send(topics.STATS, stats, service=context.name)


def watch_bus(bus: Bus, context: Context) -> None:
    """Add the state and the counts of the bus to the service's metrics."""
    up = Gauge("secondlook_bus_connected", "Whether the broker is there", registry=context.registry)
    up.set_function(lambda: float(bus.connected))
    for name in type(bus.stats).__slots__:
        gauge = Gauge(f"secondlook_bus_{name}", f"Bus: {name} so far", registry=context.registry)
        gauge.set_function(partial(_count, bus.stats, name))


def watch_disk(context: Context, **folders: Path) -> None:
    """Add the room on the disks that hold these folders, each under its name, to the metrics."""
    free = Gauge(
        "secondlook_disk_free_bytes",
        "Bytes that can still be written where it is kept: database, spool, review, frames",
        ["holds"],
        registry=context.registry,
    )
    for holds, folder in folders.items():
        free.labels(holds).set_function(partial(_free_bytes, folder))


def _free_bytes(folder: Path) -> float:
    # A folder that is not made yet will lie on the disk of the one above it.
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            room = os.statvfs(place)
            return float(room.f_bavail * room.f_frsize)
    return math.nan


def watch_triton(stats: TritonStats, context: Context) -> None:
    """Add what happens on the connection to Triton to the service's metrics."""
    for name in type(stats).__slots__:
        text = (
            f"Triton: {name} so far"
            if name != "shared_memory"
            else ("Whether pictures go to Triton through shared memory")
        )
        gauge = Gauge(f"secondlook_triton_{name}", text, registry=context.registry)
        gauge.set_function(partial(_count, stats, name))


def _count(stats: BusStats | TritonStats, name: str) -> float:
    return float(getattr(stats, name))
