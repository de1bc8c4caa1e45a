"""The examples of subscribers against a real classifier: each alert once, whatever is killed."""

import ast
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.local.triton_install import cache_folder
from secondlook.local.tritonserver import Server
from tests.integration.broker_fixtures import free_port, running
from tests.integration.classifier_rig import BLUE, RED, Rig, rigged

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
EXAMPLES = Path(__file__).parents[2] / "examples"
SUBSCRIBER = EXAMPLES / "subscriber.py"
PYTHON = (sys.executable, str(SUBSCRIBER))
SHELL = (str(EXAMPLES / "alerts.sh"),)
MISSING = [name for name in ("mosquitto_sub", "mosquitto_pub", "jq") if not shutil.which(name)]
needs_clients = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} missing: apt-get install mosquitto-clients jq"
)


class Subscriber:
    """An example that runs, and what it has printed over all its lives."""

    def __init__(self, command: tuple[str, ...], folder: Path, **settings: str) -> None:
        self.command = command
        self.folder = folder
        self.settings = settings
        self.lines: list[str] = []
        self.process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **self.settings},
        )
        self._reading = asyncio.create_task(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.lines.append(line.decode().strip())

    def noted(self) -> int:
        """How many messages the Python example remembers that it has acted on."""
        keys = self.folder / "siren.done.dir"  # a line for each
        return len(keys.read_text().splitlines()) if keys.exists() else 0

    async def kill(self) -> None:
        """SIGKILL, with everything that a script has started."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            await self.process.wait()
        if self._reading is not None:
            await self._reading


@pytest.fixture
async def rig(verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    with running("mosquitto") as broker:
        async with rigged(broker, verdicts_server, tmp_path) as one:
            yield one


@contextlib.asynccontextmanager
async def listening(rig: Rig, command: tuple[str, ...]) -> AsyncIterator[Subscriber]:
    one = Subscriber(command, rig.folder, MQTT_HOST="127.0.0.1", MQTT_PORT=str(rig.broker.port))
    try:
        await one.start()
        yield one
    finally:
        await one.kill()


async def an_alert(rig: Rig, track: str, camera: str = "yard") -> str:
    """Let an alert be decided; return its id."""
    before = news(rig)
    await rig.insist(
        lambda: rig.show(RED, RED, track=track, camera=camera), lambda: news(rig) - before
    )
    [new] = news(rig) - before
    return new


def news(rig: Rig) -> set[str]:
    """The ids of all real alerts so far."""
    return {alert.id for alert in rig.alerts() if alert.event == "new" and not alert.test}


def test_the_python_example_has_at_most_twenty_lines_of_code() -> None:
    text = SUBSCRIBER.read_text()
    told: set[int] = set()  # lines of docstrings
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            told.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = dict(enumerate(map(str.strip, text.splitlines()), 1))
    code = [line for at, line in lines.items() if at not in told and line and line[0] != "#"]
    assert len(code) <= 20, code


async def test_the_python_example_acts_once_on_each_message(rig: Rig) -> None:
    await rig.live()
    async with listening(rig, PYTHON) as subscriber:
        await rig.until(lambda: rig.said(topics.REPLAYED))
        await rig.show(RED, RED, BLUE, BLUE)
        await rig.until(lambda: len(subscriber.lines) == 3)
        assert [line.split()[:3] for line in subscriber.lines] == [
            ["new", "yard", "small_gun"],
            ["end", "yard", "small_gun"],
            ["new", "yard", "big_gun"],
        ]


async def test_the_python_example_survives_killed_brokers_classifiers_and_itself(rig: Rig) -> None:
    await rig.started()
    async with listening(rig, PYTHON) as subscriber:
        ids = [await an_alert(rig, "1")]
        await rig.until(lambda: len(subscriber.lines) == 1)
        # Acted on is not yet noted: killed in between, it acts once more.
        await rig.until(lambda: subscriber.noted() == 1)

        # Killed itself: what was decided meanwhile comes when it is back, and nothing twice.
        await subscriber.kill()
        ids.append(await an_alert(rig, "10"))
        await subscriber.start()
        await rig.until(lambda: len(subscriber.lines) == 2)
        await rig.until(lambda: subscriber.noted() == 2)

        # A broker that lost everything: only the replay can tell what it had taken.
        await subscriber.kill()
        ids.append(await an_alert(rig, "20"))
        rig.broker.kill()
        rig.broker.forget()
        await subscriber.start()
        await asyncio.sleep(1)
        rig.broker.start()
        await rig.until(lambda: len(subscriber.lines) == 3, 60)

        # Classifier killed: the subscriber asks when it is back.
        await asyncio.to_thread(rig.end)
        await rig.started()
        ids.append(await an_alert(rig, "30"))
        await rig.until(lambda: len(subscriber.lines) == 4, 60)

        # Broker killed beside the subscriber, sessions forgotten: it connects and subscribes anew.
        rig.broker.kill()
        rig.broker.forget()
        rig.broker.start()
        ids.append(await an_alert(rig, "40"))
        await rig.until(lambda: len(subscriber.lines) == 5, 60)
        await asyncio.sleep(2)
        assert [line.split()[-1] for line in subscriber.lines] == ids


@needs_clients
async def test_the_shell_example_prints_each_new_alert_once(rig: Rig) -> None:
    await rig.started()
    async with listening(rig, (*SHELL, "127.0.0.1", str(rig.broker.port))) as subscriber:
        # It knows of nothing that was before it began.
        await rig.until(lambda: rig.said(topics.REPLAYED, client="alerts-sh"))
        await an_alert(rig, "1")
        await rig.until(lambda: len(subscriber.lines) == 1)
        await rig.command("test_alert", {})  # not printed

        rig.broker.kill()
        rig.broker.forget()
        rig.broker.start()
        await an_alert(rig, "10", "door")
        await rig.until(lambda: len(subscriber.lines) == 2, 60)
        await asyncio.to_thread(rig.end)
        await rig.started()
        await asyncio.sleep(2)
        assert [line.split()[1:3] for line in subscriber.lines] == [
            ["yard:", "small_gun"],
            ["door:", "small_gun"],
        ]


NODE_RED = "4.1.8"
"""The newest that runs on Node.js 18 and 20."""
SETTINGS = """module.exports = {
  httpAdminRoot: false, httpNodeRoot: false, uiHost: '127.0.0.1', uiPort: %d, flowFile: 'flow.json',
  contextStorage: { default: { module: 'localfilesystem', config: { flushInterval: 1 } } },
};
"""


@pytest.fixture(scope="session")
def node_red() -> Path:
    """Return a Node-RED, installed once into the cache."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: apt-get install npm; Node-RED comes from it")
    home = cache_folder() / f"node-red-{NODE_RED}"
    program = home / "node_modules" / ".bin" / "node-red"
    if not program.exists():
        command = (npm, "install", "--no-audit", "--no-fund", "--prefix", str(home))
        done = subprocess.run([*command, f"node-red@{NODE_RED}"], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install Node-RED: {done.stderr.decode()[-200:]}")
    return program


@pytest.mark.long
async def test_the_node_red_flow_acts_once_on_each_new_alert(
    rig: Rig, node_red: Path, tmp_path: Path
) -> None:
    flow = json.loads(await asyncio.to_thread((EXAMPLES / "node-red-flow.json").read_text))
    for node in flow:
        if node["type"] == "mqtt-broker":  # what the user sets
            node |= {"broker": "127.0.0.1", "port": str(rig.broker.port)}
    home = tmp_path / "node-red"
    home.mkdir()
    (home / "flow.json").write_text(json.dumps(flow))
    settings = SETTINGS % await asyncio.to_thread(free_port)
    (home / "settings.js").write_text(settings)
    await rig.started()
    command = (str(node_red), "--userDir", str(home), "--settings", str(home / "settings.js"))
    async with listening(rig, command) as subscriber:

        def acted_on() -> list[str]:
            ids = (re.search(r"\((\w+-\w{26})\)", line) for line in subscriber.lines)
            return [found[1] for found in ids if found]

        await rig.until(lambda: rig.said(topics.REPLAYED, client="node-red"), 60)
        ids = [await an_alert(rig, "1")]
        await rig.until(lambda: acted_on() == ids)
        assert "small_gun at yard, score 0.98" in " ".join(subscriber.lines)

        rig.broker.kill()
        rig.broker.forget()
        rig.broker.start()
        ids.append(await an_alert(rig, "10", "door"))
        await rig.until(lambda: acted_on() == ids, 60)

        await asyncio.sleep(3)  # what it has seen is written every second
        await subscriber.kill()
        ids.append(await an_alert(rig, "20"))
        await subscriber.start()
        await rig.until(lambda: len(acted_on()) >= 3, 60)
        await asyncio.sleep(3)
        assert acted_on() == ids
