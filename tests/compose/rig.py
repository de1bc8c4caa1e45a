"""A running project whose containers can be killed, with the books of tests/chaos."""

import asyncio
import base64
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from secondlook.adapters.bus import Bus
from secondlook.messages import Alert
from tests.chaos.accounting import Outage
from tests.chaos.observer import Observer
from tests.chaos.plan import Fault
from tests.chaos.rig import CAMERA, FPS, LABELS, SIZE, Rig, family
from tests.compose.listening import access, mqtt_of
from tests.compose.project import Project

CONTAINER_OF = {"broker": "mosquitto"}
"""What the books call a part, and its service; the others have the same name."""
CONFIG = """\
cameras:
  {camera}:
    source: 'synthetic:?seed={seed}&width={size[0]}&height={size[1]}&fps={fps:g}&labels={labels}'
    fps: {fps:g}
"""
OUTBOX = """
import base64, sqlite3
path = "file:/secondlook/data/secondlook.sqlite3?mode=ro"
rows = sqlite3.connect(path, uri=True, timeout=10).execute(
    "SELECT payload FROM outbox WHERE alert_id IS NOT NULL ORDER BY seq")
for payload, in rows:
    print(base64.b64encode(payload if isinstance(payload, bytes) else payload.encode()).decode())
"""
UP_S = 300


@dataclass
class Pids:
    """Stands where the chaos rig asks its supervisor: the engine supervises here."""

    project: Project

    def pid(self, component: str) -> int | None:
        """Return the first process of a part's container, as the host numbers it."""
        state = self.project.inspected(CONTAINER_OF.get(component, component))["State"]
        return int(state["Pid"]) or None


@dataclass
class Containers:
    """Stands where the chaos rig has its stack."""

    supervisor: Pids


class ContainerRig(Rig):
    """The chaos rig over containers."""

    project: Project

    def show(self, seed: int) -> None:
        """Write the configuration for a scene; a producer reads it when it starts."""
        write_config(self.folder, seed)
        self.seeds.append((time.time_ns(), seed))

    def committed(self) -> list[Alert]:
        """Return the alerts in the classifier's outbox, delivered or not."""
        printed = self.project.exec("classifier", "python", "-c", OUTBOX)
        return [Alert.decode(base64.b64decode(line)) for line in printed.splitlines()]

    async def restart(self, fault: Fault, seed: int) -> Outage:
        """Restart a container as an operator does, and wait until everything works again."""
        if fault.component == "producers":
            self.show(seed)
        at_ns = time.time_ns()
        await asyncio.to_thread(
            self.project.run, "restart", CONTAINER_OF.get(fault.component, fault.component)
        )
        over_ns = time.time_ns()
        back_ns = await self._until_recovered(fault, over_ns)
        outage = Outage(
            fault.number, fault.component, fault.kind, at_ns, over_ns, back_ns, os.getloadavg()[0]
        )
        self.outages.append(outage)
        return outage

    async def subscriber_is_there(self, timeout_s: float = 60) -> None:
        """Wait until the subscriber has made its store."""
        async with asyncio.timeout(timeout_s):
            while True:
                with contextlib.suppress(sqlite3.OperationalError):
                    self.alerts()
                    return
                await asyncio.sleep(0.25)

    def keep_logs(self) -> None:
        """Write what the containers said where the books look for faults."""
        said = self.project.run("logs", "--no-color").stdout
        (self.folder / "parts.log").write_text(said)


def write_config(folder: Path, seed: int) -> Path:
    """Write the configuration with the scene of a seed, in one step."""
    path = folder / "config.yaml"
    part = path.with_suffix(".part")
    labels = ",".join(LABELS)
    part.write_text(CONFIG.format(camera=CAMERA, seed=seed, size=SIZE, fps=FPS, labels=labels))
    part.chmod(0o644)
    part.rename(path)
    return path


@contextlib.asynccontextmanager
async def rigged(project: Project, folder: Path, seed: int) -> AsyncIterator[ContainerRig]:
    """Bring a project up on the scene of a seed, with a subscriber and a listener on the host."""
    config = write_config(folder, seed)
    project = Project(project.folder, project.name, project.environment | {"CONFIG": str(config)})
    began_ns = time.time_ns()
    await asyncio.to_thread(
        project.run, "up", "--detach", "--wait", "--wait-timeout", str(UP_S), timeout_s=UP_S + 60
    )
    seeds = [(0, seed)]

    def seed_at(captured_ns: int) -> int:
        return max(each for each in seeds if each[0] <= captured_ns)[1]

    hears = await asyncio.to_thread(access, project, "operator", folder)
    with subscribed(await asyncio.to_thread(access, project, "consumer", folder), folder):
        async with (
            Bus(mqtt_of(hears), service="observer") as bus,
            Observer(bus, seed_at) as observer,
        ):
            stack = Containers(Pids(project))
            rig = ContainerRig(folder, stack, observer, seeds)  # type: ignore[arg-type]
            rig.project = project
            await rig.subscriber_is_there()
            await rig.all_well(began_ns, timeout_s=120)
            yield rig


@contextlib.contextmanager
def subscribed(config: Path, folder: Path) -> Iterator[None]:
    """Run the subscriber of the chaos tests on the host while the block runs."""
    argv = [sys.executable, "-m", "tests.chaos.subscriber", str(config)]
    with (folder / "subscriber.log").open("wb") as log:
        process = subprocess.Popen([*argv, str(folder / "subscriber.sqlite3")], stderr=log)
        try:
            yield
        finally:
            for pid in family(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()
