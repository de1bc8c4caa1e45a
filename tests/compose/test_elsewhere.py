"""A broker and a Triton that are not the project's: the services use what they are told."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from secondlook.commands.broker_config import hashed
from tests.compose.project import Project, files_for, until
from tests.integration.broker_fixtures import MOSQUITTO, free_port, wait_until_answers

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(4000),
    pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto"),
]
PASSWORD = "made up for this"
CONFIG = """\
cameras:
  demo: {{source: "synthetic:?seed=20"}}
mqtt: {{host: host.docker.internal, port: {port}, username: one, password: !env MQTT_PASSWORD}}
"""


@dataclass
class Elsewhere:
    """What runs outside of the project."""

    broker_port: int
    triton_port: int


@pytest.fixture(scope="module")
def elsewhere(clone: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """A broker on the host with one user for everything, and a Triton in a container of its own."""
    found = Elsewhere(free_port(), free_port())
    folder = tmp_path_factory.mktemp("broker")
    (folder / "passwd").write_text(f"one:{hashed(PASSWORD)}\n")
    (folder / "conf").write_text(
        f"listener {found.broker_port} 0.0.0.0\nallow_anonymous false\n"
        f"password_file {folder}/passwd\n" + ("user root\n" if os.geteuid() == 0 else "")
    )
    name = f"{clone.name}-triton"
    argv = ["docker", "run", "--detach", "--rm", "--name", name]
    argv += ["--publish", f"{found.triton_port}:8001"]
    for source, target in (
        ("model_repository", "/models"),
        ("deploy/compose/start-triton.sh", "/start-triton.sh"),
    ):
        argv += ["--volume", f"{clone.folder / source}:{target}:ro"]
    argv += ["secondlook-triton:test", "bash", "/start-triton.sh"]
    with subprocess.Popen([str(MOSQUITTO), "-c", str(folder / "conf")]) as broker:
        try:
            wait_until_answers(found.broker_port)
            subprocess.run(argv, check=True, capture_output=True)
            yield found
        finally:
            subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)
            broker.terminate()


def test_alerts_come_over_a_broker_and_a_triton_of_ones_own(
    clone: Project, elsewhere: Elsewhere
) -> None:
    config = clone.folder / "config.yaml"
    config.write_text(CONFIG.format(port=elsewhere.broker_port))
    config.chmod(0o644)
    project = Project(
        clone.folder,
        clone.name,
        clone.environment
        | {
            "COMPOSE_FILE": files_for("external", ["own-broker"]),
            "TRITON_URL": f"host.docker.internal:{elsewhere.triton_port}",
            "CONFIG": "config.yaml",
            "MQTT_PASSWORD": PASSWORD,
        },
    )
    project.run("up", "--detach", "--wait", "--wait-timeout", "300", timeout_s=360)
    running = project.run("ps", "--services").stdout.split()
    assert sorted(running) == ["classifier", "detector", "page", "producers"]
    assert first_alert(elsewhere.broker_port)["camera"] == "demo"
    numbers = project.metrics("detector", 9102)
    assert numbers["secondlook_triton_calls"] > 0
    assert numbers["secondlook_triton_shared_calls"] == 0
    said = project.exec("detector", "secondlook", "doctor")
    assert "memory is not shared, as triton.shared_memory says" in said
    checked = project.tool("check")
    assert "wrong" not in checked
    assert "camera demo: 1280x720" in checked


def first_alert(port: int) -> dict[str, object]:
    """Hear one alert as a program on the host."""
    heard: list[dict[str, object]] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("one", PASSWORD)
    client.on_connect = lambda c, *_: c.subscribe("secondlook/alerts/#", qos=1)
    client.on_message = lambda _c, _u, message: heard.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        until(lambda: heard, "an alert")
    finally:
        client.disconnect()
        client.loop_stop()
    return heard[0]
