"""The whole system as processes that can be killed and frozen, a subscriber and a listener."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from secondlook.adapters.bus import Bus
from secondlook.config_file import load
from secondlook.local.stack import READY_S, Stack, Wish, running
from secondlook.local.supervisor import Part
from secondlook.messages import Alert, Blind
from tests.chaos.accounting import Outage, Span
from tests.chaos.observer import Observer
from tests.chaos.plan import Fault
from tests.chaos.recovery import SERVICES, recovered_ns

CAMERA = "yard"
LABELS = ("small_gun", "big_gun")
SIZE, FPS = (640, 360), 5.0
WAIT_S = 30.0
"""For a recovery; what takes longer has failed anyway."""
CONFIG = """\
cameras:
  {camera}:
    source: 'synthetic:?seed={seed}&width={size[0]}&height={size[1]}&fps={fps:g}&labels={labels}'
    fps: {fps:g}
"""


@dataclass
class Rig:
    """A running system; made by `rigged`."""

    folder: Path
    stack: Stack
    observer: Observer
    seeds: list[tuple[int, int]]
    """(since, seed): which scene the camera shows from which Unix time on."""
    outages: list[Outage] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Services and cameras that have a status."""
        return [*SERVICES, CAMERA]

    async def all_well(self, since_ns: int, timeout_s: float = READY_S) -> None:
        """Wait until everything works, heard after a Unix time.

        Raises:
            TimeoutError: It does not.
        """
        async with asyncio.timeout(timeout_s):
            while self._recovered("subscriber", "kill", since_ns) is None:  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.25)

    def _recovered(self, component: str, kind: str, over_ns: int) -> int | None:
        if component == "subscriber" and not self._lives(kind, over_ns):
            return None
        return recovered_ns(component, kind, over_ns, self.observer.heard, self.names)

    def _lives(self, kind: str, since_ns: int) -> bool:
        """Tell whether the subscriber is back; a frozen one may have kept its connection."""
        killed = "SELECT ended_ns FROM replays WHERE ended_ns > ?"
        frozen = "SELECT at_ns FROM beats WHERE at_ns > ? LIMIT 1"
        marks = self._rows(killed if kind == "kill" else frozen, since_ns)
        known = any(e.kind == "replayed" and e.at_ns > since_ns for e in self.observer.heard)
        if marks and not known:
            self.observer.replayed()
        return bool(marks)

    async def strike(self, fault: Fault, seed: int) -> Outage:
        """Kill or freeze a part, wait until everything works again, and note how long that took.

        Args:
            fault: What to do.
            seed: Of the scene that a killed producer shows when it is back.
        """
        pid = self.stack.supervisor.pid(fault.component)
        if pid is None:
            raise RuntimeError(f"{fault.component} does not run")
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        if fault.kind == "kill":
            if fault.component == "producers":
                self.show(seed)
            at_ns = over_ns = time.time_ns()
            os.kill(pid, signal.SIGKILL)
        else:
            at_ns = time.time_ns()
            signal_family(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.frozen_s)
            finally:
                over_ns = time.time_ns()
                signal_family(pid, signal.SIGCONT)
        back_ns = await self._until_recovered(fault, over_ns)
        outage = Outage(
            fault.number, fault.component, fault.kind, at_ns, over_ns, back_ns, round(load, 2)
        )
        self.outages.append(outage)
        return outage

    async def _until_recovered(self, fault: Fault, over_ns: int) -> int | None:
        until_s = time.monotonic() + WAIT_S
        while time.monotonic() < until_s:
            await asyncio.sleep(0.2)
            if back_ns := self._recovered(fault.component, fault.kind, over_ns):
                return back_ns
        return None

    def show(self, seed: int) -> None:
        """Write the configuration for a scene; a producer reads it when it starts."""
        write_config(self.folder, seed)
        self.seeds.append((time.time_ns(), seed))

    async def kill_everything(self) -> None:
        """Kill all parts at once, and let nobody start them again."""
        parts = ("broker", "triton", "producers", "detector", "classifier", "subscriber")
        pids = [self.stack.supervisor.pid(name) for name in parts]
        for pid in filter(None, pids):
            os.kill(pid, signal.SIGKILL)
        await self.stack.supervisor.stop()

    def _rows(self, query: str, *values: int) -> list[tuple[int]]:
        path = self.folder / "subscriber.sqlite3"
        return rows(path, query, *values)

    def alerts(self) -> list[tuple[Alert, int, int]]:
        """Return what the subscriber holds: alert, when it first came, how often it came."""
        found = rows(
            self.folder / "subscriber.sqlite3",
            "SELECT payload, first_ns, seen FROM alerts ORDER BY first_ns",
        )
        return [(Alert.decode(payload), first_ns, seen) for payload, first_ns, seen in found]

    def committed(self) -> list[Alert]:
        """Return the alerts in the classifier's outbox, delivered or not."""
        return committed(self.folder)

    def spans(self) -> list[Span]:
        """Return the blind records that the subscriber holds."""
        stored = rows(self.folder / "subscriber.sqlite3", "SELECT payload FROM blind")
        told = [Blind.decode(payload) for (payload,) in stored]
        return sorted({Span.of(blind) for blind in told}, key=lambda span: span.from_ns)

    def spans_heard(self) -> set[Span]:
        """Return the blind records that the listener heard."""
        return {Span.of(blind) for blind in self.observer.blinds}

    async def delivered(
        self, wanted: set[tuple[str, int]] | None = None, timeout_s: float = 60.0
    ) -> None:
        """Wait until the subscriber holds these alerts, or all that are committed by now."""
        wanted = wanted or {key_of(alert) for alert in self.committed()}
        async with asyncio.timeout(timeout_s):
            while wanted - {key_of(alert) for alert, *_ in self.alerts()}:  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.5)


def key_of(alert: Alert) -> tuple[str, int]:
    """Return what an alert is known by."""
    return alert.id, alert.sequence


def committed(folder: Path) -> list[Alert]:
    """Return the alerts in a classifier's outbox, delivered or not."""
    query = "SELECT payload FROM outbox WHERE alert_id IS NOT NULL ORDER BY seq"
    return [Alert.decode(payload) for (payload,) in rows(folder / "classifier.sqlite3", query)]


def rows(path: Path, query: str, *values: int) -> list[tuple]:  # type: ignore[type-arg]  # any
    """Read a database that another process writes; nothing lies in one that is not made yet."""
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        tables = db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        return db.execute(query, values).fetchall() if tables else []


def write_config(folder: Path, seed: int) -> Path:
    """Write the configuration with the scene of a seed, in one step."""
    path = folder / "config.yaml"
    part = path.with_suffix(".part")
    part.write_text(
        CONFIG.format(camera=CAMERA, seed=seed, size=SIZE, fps=FPS, labels=",".join(LABELS))
        + f"detector: {{spool: {{directory: {folder / 'spool'}}}}}\n"
        + f"classifier: {{database: {folder / 'classifier.sqlite3'}}}\n"
    )
    part.rename(path)
    return path


def signal_family(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and everything below it, as freezing a container does."""
    for member in family(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                yield from family(int(child))


@contextlib.asynccontextmanager
async def rigged(folder: Path, seed: int) -> AsyncIterator[Rig]:
    """Give a system in which everything works, on the scene of a seed.

    A folder that was used before is gone on with: database, spool, and what broker and
    subscriber keep.
    """
    path = write_config(folder, seed)
    began_ns = time.time_ns()
    seeds = [(0, seed)]

    def seed_at(captured_ns: int) -> int:
        return max(each for each in seeds if each[0] <= captured_ns)[1]

    with (folder / "parts.log").open("a", buffering=1) as log:

        def say(name: str, line: str) -> None:
            log.write(f"{time.strftime('%H:%M:%S')} {name} | {line}\n")

        async with running(Wish(path, load(path)), folder, say) as stack:
            await start(stack, folder)
            async with (
                Bus(stack.mqtt, service="observer") as bus,
                Observer(bus, seed_at) as observer,
            ):
                rig = Rig(folder, stack, observer, seeds)
                await rig.all_well(began_ns, 2 * READY_S)
                yield rig


async def start(stack: Stack, folder: Path) -> None:
    """Start every part, Triton first, and wait for none but Triton and the broker."""
    stack.start_broker()
    await stack.start_triton(lambda _: None)
    await stack.supervisor.ready("broker", READY_S)
    argv = [sys.executable, "-m", "tests.chaos.subscriber", str(stack.mqtt.port)]
    argv.append(str(folder / "subscriber.sqlite3"))

    async def always() -> bool:
        return True

    stack.supervisor.start(Part("subscriber", argv, always))
    for name in ("classifier", "detector", "producers"):
        stack.start_service(name)
    await stack.supervisor.ready("triton", READY_S)
