"""All three services as processes, each a user of its own on a broker with TLS and access rules."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from secondlook.local.tritonserver import Server
from tests.integration.broker_fixtures import free_port
from tests.integration.secured_broker import Secured, as_yaml

MODULES = {"classifier": "classifier_svc", "detector": "detector_svc", "producers": "producers"}
PATIENCE_S = 90.0
DRAWN = {"yard": {"source": "synthetic:?width=640&height=360", "fps": 5}}


class SecuredStack:
    """The services, and everything that the operator hears.

    Args:
        broker: Running.
        triton: Running, with the models of `stack_models`.
        folder: For everything.
        cameras: Of the configuration.
        certificate: Enter with certificates instead of passwords.
    """

    def __init__(
        self,
        broker: Secured,
        triton: Server,
        folder: Path,
        cameras: Mapping[str, Any] = DRAWN,
        *,
        certificate: bool = False,
    ) -> None:
        self.broker = broker
        self.folder = folder
        self.certificate = certificate
        self.heard: list[tuple[str, bytes]] = []
        self.ports = {name: free_port() for name in MODULES}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._common = {
            "cameras": dict(cameras),
            "triton": {"url": triton.url},
            "frames": {"directory": str(folder / "frames"), "max_mb": 64},
            "metrics": self.ports,
            "review": {"enabled": True},
            "log": {"level": "debug"},
        }

    def config(self, user: str, **changes: Any) -> Path:
        """Write the configuration of a user; return its path."""
        path = self.folder / f"{user}.yaml"
        mqtt = self.broker.mqtt(user, certificate=self.certificate)
        path.write_text(as_yaml({**self._common, "mqtt": mqtt, **changes}))
        return path

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start_all(self) -> None:
        for name in MODULES:
            self.start(name)

    def start(self, name: str) -> None:
        argv = [sys.executable, "-m", MODULES[name], "--config", str(self.config(name))]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(argv, stdout=log, stderr=log)

    def end(self) -> dict[str, int]:
        """Tell all to stop; return their exit statuses."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(PATIENCE_S) for name, process in self.processes.items()}

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(PATIENCE_S)

    def on(self, topic: str) -> list[bytes]:
        """Return what was heard on a topic, which may have wildcards."""
        return [said for path, said in list(self.heard) if paho.topic_matches_sub(topic, path)]

    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(said) for said in self.on("secondlook/alerts/#")]

    def until(self, condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline or not self.alive():
                said = {name: self.log(name).read_text()[-1500:] for name in self.processes}
                topics = sorted({path for path, _ in self.heard})
                raise AssertionError(f"it did not happen: {topics}\n{json.dumps(said, indent=1)}")
            time.sleep(0.1)

    def alive(self) -> bool:
        return all(process.poll() is None for process in self.processes.values())

    def subscriptions(self) -> set[tuple[str, str]]:
        """Return who asked for which topics: the end of the client's id and the filter."""
        found = set()
        for line in self.broker.lines("secondlook-"):
            words = line.split()
            if len(words) == 4 and words[2] in "012":
                found.add((words[1].rpartition("-")[2], words[3]))
        return found


@contextlib.contextmanager
def secured_stack(
    broker: Secured,
    triton: Server,
    folder: Path,
    *args: Any,
    started: bool = True,
    **options: Any,
) -> Iterator[SecuredStack]:
    """Run the services while the block runs; the operator listens before they start.

    Args:
        broker: As for `SecuredStack`, like what is not named here.
        triton: Likewise.
        folder: Likewise.
        started: False leaves it to the block to start them, once others listen, too.
    """
    stack = SecuredStack(broker, triton, folder, *args, **options)
    certificate = "operator" if stack.certificate else None
    with broker.client("operator", certificate=certificate) as operator:
        operator.on_message = lambda _c, _u, m: stack.heard.append((m.topic, bytes(m.payload)))
        operator.subscribe("#", qos=1)
        try:
            if started:
                stack.start_all()
            yield stack
        finally:
            stack.kill()


def secondlook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "secondlook.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | environment,
    )
