"""`secondlook up` as a user runs it: a process with broker, Triton and services below it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Subscription
from secondlook.config import Mqtt
from secondlook.local.broker import mosquitto
from secondlook.local.probes import free_port
from tests.integration.stack_models import write_repository

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
STARTED_S = 120
"""Everything at once on two busy cores."""


def processes_below(pid: int) -> set[int]:
    """Return the ids of all living descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if after_name[0] != "Z":
            parents[int(folder.name)] = int(after_name[1])
    found, growing = {pid}, True
    while growing:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
        growing = bool(more)
    return found - {pid}


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def command_line(pid: int) -> bytes:
    """Return what a process was started with; of one that has just ended, nothing."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Up:
    """A running `secondlook up`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._came = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())
            self._came.set()

    async def says(self, pattern: str, within_s: float = STARTED_S) -> re.Match[str]:
        """Wait for a line."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for line in self.lines:
                        if found := re.search(pattern, line):
                            return found
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            pytest.fail(f"no line {pattern!r} in:\n{''.join(self.lines)}")

    async def mqtt(self) -> Mqtt:
        return Mqtt(port=int((await self.says(r"broker: 127\.0\.0\.1:(\d+)"))[1]))

    async def page(self) -> str:
        return (await self.says(r"page: (http://127\.0\.0\.1:\d+/)"))[1]

    async def pid_of(self, program: str) -> int:
        """Return the process that runs a Python module or a program of that name."""
        async with asyncio.timeout(STARTED_S):
            while True:
                for pid in processes_below(self.process.pid):
                    command = (await asyncio.to_thread(command_line, pid)).split(b"\0")
                    names = [Path(command[0].decode()).name, command[2:3] and command[2].decode()]
                    if program in names:
                        return pid
                await asyncio.sleep(0.1)

    async def end(self) -> int | None:
        """Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await self.process.wait()
            await self._reading
        return self.process.returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ports: list[int] = []
    for _ in range(5):
        ports.append(free_port(taken=frozenset(ports)))
    broker, *others = ports
    metrics = dict(zip(("producers", "detector", "classifier", "page"), others, strict=True))
    yard = {"source": "synthetic:?width=640&height=360", "fps": 5}
    config = {"cameras": {"yard": yard}, "mqtt": {"port": broker}, "metrics": metrics}
    (tmp_path / "config.yaml").write_text(json.dumps(config) + "\n")
    write_repository(tmp_path / "models")
    return tmp_path


async def started(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", *arguments),
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
    )


@contextlib.asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[Up]:
    """Run a command that does not end by itself, for no longer than the block."""
    process = await started(folder, *arguments)
    try:
        yield Up(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def up(folder: Path) -> AsyncIterator[Up]:
    async with running(folder, "up", "--models", "models") as up:
        yield up


class Statuses:
    """Every status in the order in which they came."""

    def __init__(self, bus: Bus) -> None:
        self._said: list[tuple[str, str]] = []
        self._came = asyncio.Event()
        self._reading = asyncio.create_task(self._read(bus.subscribe(topics.STATUS)))

    async def _read(self, heard: Subscription[topics.OnlineOffline]) -> None:
        async for delivery in heard:
            self._said.append((delivery.levels["service"], delivery.message))
            self._came.set()

    async def go_through(self, service: str, *wanted: str) -> None:
        """Wait until a service has said these one after another, from now on.

        What it said before may come once more: a message is delivered at least once.
        """
        begin = len(self._said)
        async with asyncio.timeout(STARTED_S):
            while self._of(service, begin)[-len(wanted) :] != [*wanted]:
                self._came.clear()
                await self._came.wait()

    def _of(self, service: str, begin: int) -> list[str]:
        return [status for name, status in self._said[begin:] if name == service]


async def run(folder: Path, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
    )
    async with asyncio.timeout(STARTED_S):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_up_alerts_survives_deaths_and_ends_cleanly(up: Up, folder: Path) -> None:
    mqtt = await up.mqtt()
    async with Bus(mqtt, service="test") as bus:
        alerts, statuses = bus.subscribe(topics.ALERTS), Statuses(bus)
        await up.says("Watching")

        async with asyncio.timeout(60):
            first = (await alerts.batch(1))[0].message
        assert (first.camera, first.label, first.event) == ("yard", "small_gun", "new")

        code, said = await run(folder, "test-alert")
        assert (code, said[:30]) == (0, "The test alert of yard arrived")
        await the_page_shows(await up.page(), first.id)

        for module, service in (
            ("classifier_svc", "classifier"),
            ("detector_svc", "detector"),
            ("producers", "producers"),
        ):
            old = await up.pid_of(module)
            back = asyncio.create_task(statuses.go_through(service, "offline", "online"))
            await asyncio.sleep(0)  # it listens from here on
            os.kill(old, signal.SIGKILL)
            await back
            assert await up.pid_of(module) != old

        code, said = await run(folder, "test-alert")
        assert code == 0, said

    children = processes_below(up.process.pid)
    where = json.loads(next((folder / "state").rglob("where.json")).read_text())
    frames = Path(where["frames"]) / "yard"
    assert len(children) >= 6
    assert frames.exists()
    assert await up.end() == 0
    assert {pid for pid in children if alive(pid)} == set()
    assert not frames.exists()


async def the_page_shows(url: str, alert: str) -> None:
    """Find an alert of the real pipeline, its picture and the live one, as a browser would."""

    def shown() -> dict[str, Any]:
        with urllib.request.urlopen(f"{url}events", timeout=60) as events:  # noqa: S310 - loopback
            events.readline()
            patch = json.loads(events.readline()[6:])["patch"]
        return dict(patch.get("alerts", {}).get(alert, {}))

    def jpeg(path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{url}{path}", timeout=60) as picture:  # noqa: S310 - loopback
                return bool(picture.read(2) == b"\xff\xd8")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return False

    async with asyncio.timeout(60):
        while not (found := await asyncio.to_thread(shown)).get("picture"):  # noqa: ASYNC110 - polls another process
            await asyncio.sleep(0.5)
    assert await asyncio.to_thread(jpeg, f"pictures/{found['picture']}.jpg")
    async with asyncio.timeout(60):
        # A page that has just started has the alerts of before, and no frame yet.
        while not await asyncio.to_thread(jpeg, "cameras/yard/live.jpg"):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.2)


async def a_look_is_judged(mqtt: Mqtt) -> None:
    async with Bus(mqtt, service="test") as bus:
        verdicts = bus.subscribe(topics.VERDICTS)
        async with asyncio.timeout(60):
            assert (await verdicts.batch(1))[0].message.outcome == "confirmed"


@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_a_killed_broker_and_a_killed_triton_come_back(up: Up, folder: Path) -> None:
    mqtt = await up.mqtt()
    await up.says("Watching")
    await a_look_is_judged(mqtt)

    for name, program in (("broker", "mosquitto"), ("triton", "tritonserver")):
        old = await up.pid_of(program)
        os.kill(old, signal.SIGKILL)
        await up.says(rf"{name} \| was ended by SIGKILL; starting it again")
        await a_look_is_judged(mqtt)
        assert await up.pid_of(program) != old

    assert (await run(folder, "test-alert"))[0] == 0
    assert await up.end() == 0


async def test_a_second_up_of_the_same_configuration_is_refused(up: Up, folder: Path) -> None:
    await up.mqtt()

    code, said = await run(folder, "up", "--models", "models")

    assert code == 1
    assert "already running with this configuration" in said
    assert await up.end() == 0


async def test_parts_end_with_a_killed_up(up: Up, folder: Path) -> None:
    await up.says("Watching")
    children = processes_below(up.process.pid)

    up.process.kill()

    async with asyncio.timeout(60):
        while any(alive(pid) for pid in children):  # noqa: ASYNC110 - another program's end
            await asyncio.sleep(0.1)
    assert len(children) >= 5


async def test_other_programs_find_the_broker(up: Up, folder: Path) -> None:
    mqtt = await up.mqtt()
    await up.says("Watching")
    path = next((folder / "state").rglob("where.json"))

    assert json.loads(await asyncio.to_thread(path.read_text))["port"] == mqtt.port
    _, said = await run(folder, "doctor")
    # What a busy machine loses depends on it.
    assert "online: producers, detector, triton, classifier" in said, said
    assert "camera yard: online, " in said, said
    assert await up.end() == 0


async def test_the_page_command_says_where_the_page_is(up: Up, folder: Path) -> None:
    address = await up.page()
    await up.says("starting the broker")

    assert await run(folder, "page") == (0, f"{address}\n")
    assert await up.end() == 0


async def test_up_without_a_page_serves_none_and_the_command_does(folder: Path) -> None:
    config, port = json.loads((folder / "config.yaml").read_text()), free_port()
    config["page"] = {"enabled": False, "port": port}
    (folder / "config.yaml").write_text(json.dumps(config))
    async with running(folder, "up", "--models", "models") as up:
        await up.says("page: off")
        await up.says("Watching")

        async with running(folder, "page") as page:
            await page.says(rf"the page is at http://127\.0\.0\.1:{port}/")
            async with Bus(await up.mqtt(), service="test") as bus, asyncio.timeout(60):
                alert = (await bus.subscribe(topics.LAST).batch(1))[0].message
            await the_page_shows(f"http://127.0.0.1:{port}/", alert.id)

            assert await page.end() == 0
        assert await up.end() == 0


async def test_check_tries_the_broker_and_models_that_up_would_start(folder: Path) -> None:
    arguments = ("check", "--embedded", "--models", "models")

    code, said = await run(folder, *arguments)
    assert code == 0, said
    assert "ok     detector model yolov5, version 1" in said
    assert "ok     camera yard: 640x360" in said

    code, said = await run(folder, *arguments, "--no-broker", "--set", "mqtt.port=9")
    assert code == 1, said
    assert "wrong  no broker at 127.0.0.1:9" in said
    assert "ok     detector model yolov5, version 1" in said

    code, said = await run(folder, *arguments, "--set", "mqtt.username=me")
    assert code == 0, said
    assert "say --no-broker if you mean one that runs here already" in said

    code, said = await run(folder, *arguments, "--set", "alerts.labels=[knife]")
    assert code == 1, said
    assert "wrong  classifier model efficientnet_b0 knows small_gun" in said
