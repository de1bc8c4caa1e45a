"""A whole Second Look whose parts a test kills and freezes, and an ear at its broker."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import yaml
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from secondlook.cli import main
from secondlook.commands.broker_config import hashed
from secondlook.config_file import load
from secondlook.local.tritonserver import Server, TritonHome
from tests.integration.broker_fixtures import Broker, free_port
from tests.integration.classifier_rig import add_verdicts
from tests.integration.detector_rig import add_colours
from tests.system.home_assistant import stage

MODULES = {"classifier": "classifier_svc", "detector": "detector_svc", "producers": "producers"}
SERVICES = (*MODULES, "triton")
CAMERAS = ("front_door", "yard")
SIZE = (320, 240)
PATIENCE_S = 60.0
# While one alert is young, any earlier one at the same place is only opened again.
ALERTS: dict[str, Any] = {"end_after_s": 3, "cooldown_s": 0.1}
TESTER = "tester"
"""The broker's user that may do everything: hears all, and announces what is to be switched."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came."""

    at_s: float
    """As `time.monotonic` says."""
    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> Any:
        """Its payload as a value."""
        return json.loads(self.payload)


class System:
    """Broker, Triton and the services, each of which may be killed, frozen and started again.

    Each service and Home Assistant enter the broker with a login of their own, and may do there
    what `secondlook broker-config` lets them.

    Args:
        broker: Running; it is started again with users and access rules.
        triton: Not started yet.
        folder: For everything.
    """

    def __init__(self, broker: Broker, triton: Server, folder: Path) -> None:
        self.broker = broker
        self.triton = triton
        self.heard: list[Heard] = []
        self.config = folder / "config.yaml"
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {name: free_port() for name in MODULES}
        self._access = folder / "access"
        self._guard()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(TESTER, TESTER)
        self.configure()
        self.show(*CAMERAS)

    def _guard(self) -> None:
        told = ["--out", str(self._access), "--no-tls", "--mounted", "."]
        done = CliRunner().invoke(main, ["broker-config", *told])
        assert done.exit_code == 0, done.output
        with (self._access / "passwd").open("a") as passwords:
            passwords.write(f"{TESTER}:{hashed(TESTER)}\n")
        with (self._access / "acl").open("a") as rules:
            rules.write(f"user {TESTER}\ntopic readwrite #\n")
            # A home has more than cameras.
            rules.write("user homeassistant\ntopic readwrite test/#\n")
        files = f"acl_file {self._access}/acl\npassword_file {self._access}/passwd\n"
        self.broker.settings = f"allow_anonymous false\n{files}"
        self.broker.stop()
        self.broker.start()

    def password(self, user: str) -> Path:
        """Return the file with a password of the broker."""
        return self._access / "passwords" / user

    def configure(self, *cameras: str, **sections: Any) -> None:
        """Write the configuration; what is started from now on reads it."""
        width, height = SIZE
        command = f"{sys.executable} {stage.__file__}"
        tree = {
            "cameras": {
                name: {
                    "source": f"ffmpeg:?width={width}&height={height}&command={command} "
                    f"{self._scene(name)} {width} {height}",
                    "fps": stage.FPS,
                }
                for name in cameras or CAMERAS
            },
            "mqtt": {"port": self.broker.port},
            "triton": {"url": self.triton.url},
            "frames": {"directory": str(self._folder / "frames"), "max_mb": 64},
            # Red fills the whole crop.
            "detector": {"model": "colours", "crop": {"margin": 0}},
            "alerts": ALERTS,
            "metrics": self._ports,
        }
        self.config.write_text(yaml.safe_dump(tree | sections))
        load(self.config)

    # What the cameras see.

    def _scene(self, camera: str) -> Path:
        return self._folder / f"{camera}.scene"

    def show(self, *cameras: str, squares: str = "") -> None:
        """Let cameras see squares: lines of `colour x y`; or nothing."""
        for camera in cameras:
            part = self._folder / "scene.part"
            part.write_text(squares)
            part.rename(self._scene(camera))

    # The parts.

    def start(self, *names: str) -> None:
        """Start parts that do not run."""
        for name in names:
            if name == "broker":
                self.broker.start()
            elif name == "triton":
                self.triton.start(wait_s=PATIENCE_S)
            else:
                argv = [sys.executable, "-m", MODULES[name], "--config", str(self.config)]
                argv += ["--set", f"mqtt.username={name}"]
                argv += ["--set", f"mqtt.password=!file {self.password(name)}"]
                with self._log(name).open("ab") as log:
                    self._processes[name] = subprocess.Popen(
                        argv, stdout=log, stderr=log, start_new_session=True
                    )

    def kill(self, *names: str) -> None:
        """Kill parts as a crash would, with everything below them."""
        for name in names:
            if name == "broker":
                self.broker.kill()
            elif name == "triton":
                self.triton.kill()
            else:
                self._signal(name, signal.SIGKILL)
                self._processes.pop(name).wait(20)

    def freeze(self, name: str) -> None:
        """Let a part stand still, its connections open."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a part go on."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        # Triton's models are processes of their own, in its group.
        process = self.triton._process if name == "triton" else self._processes.get(name)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def end(self) -> None:
        """End everything."""
        for name in [*self._processes]:
            self.thaw(name)
            self.kill(name)
        self.thaw("triton")
        self.triton.kill()
        self._client.disconnect()
        self._client.loop_stop()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    # What is said.

    def listen(self) -> None:
        """Hear everything from now on."""

        def subscribe(client: paho.Client, *_: object) -> None:
            client.subscribe([("secondlook/#", 1), ("homeassistant/#", 1), ("test/#", 1)])

        self._client.on_connect = subscribe
        self._client.on_message = lambda _c, _u, m: self.heard.append(
            Heard(time.monotonic(), m.topic, bytes(m.payload), m.retain)
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", self.broker.port, keepalive=5)
        self._client.loop_start()

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish a message."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def on(self, topic: str, since_s: float = 0.0) -> list[Heard]:
        """Return what was heard on a topic, which may have wildcards, since a moment."""
        found = [each for each in list(self.heard) if each.at_s >= since_s]
        return [each for each in found if paho.topic_matches_sub(topic, each.topic)]

    def new_alerts(self, since_s: float = 0.0) -> list[Heard]:
        """Return the alerts that began an episode, each once."""
        found: dict[str, Heard] = {}
        for each in self.on("secondlook/alerts/#", since_s):
            if each.json["event"] == "new":
                found.setdefault(each.json["id"], each)
        return list(found.values())

    def last(self, topic: str) -> bytes | None:
        """Return the newest message of a topic."""
        found = self.on(topic)
        return found[-1].payload if found else None

    def watching(self) -> bool:
        """Tell whether everything says `online`."""
        topics = [f"status/{name}" for name in SERVICES]
        topics += [f"cameras/{name}/status" for name in load(self.config).cameras]
        return all(self.last(f"secondlook/{topic}") == b"online" for topic in topics)

    def until(self, condition: Callable[[], Any], within_s: float = PATIENCE_S) -> float:
        """Wait for something; return the seconds it took.

        Raises:
            AssertionError: It did not happen; with the ends of the logs.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s:
                said = {name: self._log(name).read_text()[-1500:] for name in self._processes}
                newest = {each.topic: each.payload[:80] for each in list(self.heard)}
                lines = "\n".join(f"{name}:\n{text}" for name, text in said.items())
                raise AssertionError(f"not within {within_s} s\n{newest}\n{lines}")
            time.sleep(0.05)
        return time.monotonic() - began


@contextlib.contextmanager
def running(broker: Broker, home: TritonHome, folder: Path) -> Iterator[System]:
    """Lend a system of which only broker and Triton run."""
    repository = folder / "models"
    add_verdicts(repository)
    add_colours(repository)
    system = System(broker, Server(home, repository, folder / "triton.log"), folder)
    system.listen()
    try:
        system.start("triton")
        yield system
    finally:
        system.end()
        shutil.rmtree(folder / "frames", ignore_errors=True)
