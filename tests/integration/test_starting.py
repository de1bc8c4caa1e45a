"""Services as processes: any order of starting, one owner for what is kept, a prompt end."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from secondlook import topics
from secondlook.adapters.bus import Bus
from tests.integration.broker_fixtures import Broker, free_port, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
MODULES = {"classifier": "classifier_svc", "detector": "detector_svc", "producers": "producers"}
DRAINED_S = 5.0
NOISE_S = 3.0
"""For the interpreter to end on a machine that is too busy."""


class Services:
    """Processes of one configuration, with what they say."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.path = folder / "config.yaml"
        self.config = {
            "cameras": {"yard": {"source": "synthetic:"}},
            "mqtt": {"port": port},
            "triton": {"url": f"127.0.0.1:{free_port()}"},
            "frames": {"directory": str(folder / "frames"), "max_mb": 64},
            "metrics": dict.fromkeys(MODULES, None),
        }
        self.write()
        self.started: list[subprocess.Popen[bytes]] = []

    def write(self, **changes: object) -> None:
        self.path.write_text(yaml.safe_dump(self.config | changes))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            argv = [sys.executable, "-m", MODULES[name], "--config", str(self.path)]
            self.started.append(subprocess.Popen(argv, stdout=log, stderr=log))
        return self.started[-1]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def says(self, name: str, words: str, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while words not in self.log(name).read_text():
            assert time.monotonic() < deadline, self.log(name).read_text()
            time.sleep(0.05)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    one = Services(tmp_path, free_port())
    yield one
    for process in one.started:
        process.kill()
        process.wait(10)


OWNED = {"detector": "detector.spool.directory", "classifier": "classifier.database"}


@pytest.mark.parametrize("name", OWNED)
def test_a_second_one_on_the_same_files_ends_with_78(services: Services, name: str) -> None:
    first = services.start(name)
    services.says(name, "no broker at")
    second = services.start(name)

    assert second.wait(60) == 78
    said = services.log(name).read_text()
    assert f"{OWNED[name]}: " in said
    assert f"in use by another {name}; stop it, or give this one" in said
    assert "Traceback" not in said
    assert first.poll() is None


@pytest.mark.parametrize("name", OWNED)
def test_the_next_one_waits_for_one_that_is_ending(services: Services, name: str) -> None:
    first = services.start(name)
    services.says(name, "no broker at")
    first.send_signal(signal.SIGSTOP)
    second = services.start(name)
    time.sleep(3)
    assert second.poll() is None
    first.kill()  # also a frozen one, and nobody has to clean up behind it
    first.wait(10)
    deadline = time.monotonic() + 60
    while services.log(name).read_text().count("no broker at") < 2:
        assert time.monotonic() < deadline, services.log(name).read_text()
        assert second.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mqtt": {"prt": 1}}, "mqtt.prt: there is no such key; did you mean port?"),
        ({"cameras": {}}, "cameras"),
        ({"mqtt": {"tls": {"ca_file": "nowhere.crt"}}}, "nowhere.crt cannot be read: No such file"),
    ],
)
def test_a_mistake_in_the_configuration_ends_each_service_with_78(
    services: Services, name: str, changes: dict[str, object], said: str
) -> None:
    services.write(**changes)
    assert services.start(name).wait(60) == 78
    assert said in services.log(name).read_text()
    assert "Traceback" not in services.log(name).read_text()


@pytest.mark.parametrize("name", MODULES)
def test_without_broker_and_triton_a_service_waits_and_ends_at_once(
    services: Services, name: str
) -> None:
    process = services.start(name)
    services.says(name, "no broker at")
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert time.monotonic() - began < DRAINED_S + NOISE_S
    assert "Traceback" not in services.log(name).read_text()


async def test_services_that_start_long_before_the_broker_find_it(tmp_path: Path) -> None:
    """Long enough for every wait between attempts to have reached its longest."""
    with contextlib.ExitStack() as stack:
        broker: Broker = stack.enter_context(running("mosquitto"))
        broker.stop()
        services = Services(tmp_path, broker.port)
        try:
            processes = {name: services.start(name) for name in MODULES}
            await asyncio.sleep(20)
            assert {name for name, process in processes.items() if process.poll() is None} == {
                *MODULES
            }
            await asyncio.to_thread(broker.start)
            online: set[str] = set()
            async with Bus(broker.mqtt(), service="tester") as bus:
                heard = bus.subscribe(topics.STATUS)
                async with asyncio.timeout(60):
                    while online != {*MODULES}:
                        for delivery in await heard.batch(10):
                            if delivery.message == "online":
                                online.add(delivery.levels["service"])
            # One line about the broker that is away, not one for each attempt.
            for name in MODULES:
                assert services.log(name).read_text().count("no broker at") <= 2
            for process in processes.values():
                process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert {process.wait(30) for process in processes.values()} == {0}
            assert time.monotonic() - began < DRAINED_S + NOISE_S
        finally:
            for process in services.started:
                process.kill()
                process.wait(10)
