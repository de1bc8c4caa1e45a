"""A real mosquitto, and amqtt for what must work on it too. Loopback, free ports, no leftovers."""

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from secondlook.local.probes import is_free

PATIENCE_S = 60
KEEPALIVE_S = 60
"""Of clients that must not be thrown out when they, or the broker, do not run for some seconds."""
PORTS_EACH = 1000
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_numbers = itertools.count(os.getpid())
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def mosquitto_version() -> tuple[int, ...]:
    """Return the version of mosquitto; empty without it."""
    if MOSQUITTO is None:
        return (0,)
    said = subprocess.run([MOSQUITTO, "-h"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+(?:\.\d+)*)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def free_port() -> int:
    """Return a free loopback port that nobody takes before it is used, or between two uses.

    No connection on its way out (the kernel gives those 32768 and up), not the product
    (`probes.free_port` takes 20000 and up), and no other worker of this run; and none is given
    twice in a row here, for a broker that was killed comes back on its own.
    """
    for number in itertools.islice(_numbers, PORTS_EACH):
        port = 10_000 + WORKER * PORTS_EACH + number % PORTS_EACH
        if is_free(port):
            return port
    raise OSError("no free port for a test")


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def wait_until_answers(port: int, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not answers(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing answers on port {port}")
        time.sleep(0.05)


class Broker:
    """A broker that a test may kill and start again on the same port."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self.folder = folder
        self.settings = ""
        """More lines of mosquitto's configuration."""
        self._process: subprocess.Popen[bytes] | None = None

    def mqtt(self) -> Mqtt:
        return Mqtt(port=self.port, keepalive_s=KEEPALIVE_S)

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until_answers(self.port)
        assert self._process.poll() is None, "what answers is another program"

    def _command(self) -> list[str]:
        if self.kind == "amqtt":
            config = self.folder / "amqtt.yaml"
            config.write_text(
                f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
                "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n"
                "    allow_anonymous: true\n"
            )
            return [str(Path(sys.executable).parent / "amqtt"), "-c", str(config)]
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {self.folder}/\n"
            "autosave_interval 1\nautosave_on_changes true\n"
            "max_inflight_messages 1000\nmax_queued_messages 10000\n"
            + ("user root\n" if os.geteuid() == 0 else "")
            + self.settings
        )
        return [str(MOSQUITTO), "-c", str(config)]

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def forget(self) -> None:
        """Delete what it has kept on disk: sessions and retained messages."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def freeze(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def opened(bus: Bus) -> AsyncIterator[Bus]:
    """Run a bus; whatever it has subscribed to is heard from the beginning of the block on."""
    greeted = asyncio.Event()

    async def note() -> None:
        greeted.set()

    bus.on_connect(note)
    async with bus:
        async with asyncio.timeout(PATIENCE_S):
            await greeted.wait()
        yield bus


@contextlib.contextmanager
def running(kind: str) -> Iterator[Broker]:
    if kind == "mosquitto" and MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    with tempfile.TemporaryDirectory(prefix="secondlook-broker-") as folder:
        broker = Broker(kind, Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A mosquitto of the test's own; it may be killed and started again."""
    with running("mosquitto") as one:
        yield one


@pytest.fixture(params=["mosquitto", "amqtt"])
def any_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each kind of broker in turn."""
    with running(request.param) as one:
        yield one
