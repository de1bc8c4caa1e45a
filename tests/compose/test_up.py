"""A fresh clone, `docker compose up`, and what can be seen from inside and from outside."""

import contextlib
import json
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.compose.listening import access
from tests.compose.project import SERVICES, Project, named, until

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(4000)]
UP_S = 300.0
OURS = ("producers", "detector", "classifier", "page")
WITH_TRITON = ("detector", "classifier")
VOLUMES = {"/tmp", "/dev/shm", "/frames", "/secondlook/data", "/mosquitto/data", "/mosquitto/log"}  # noqa: S108 - in memory, and of containers


@pytest.fixture(scope="module")
def up(clone: Project) -> Project:
    clone.run("up", "--detach", "--wait", "--wait-timeout", str(int(UP_S)), timeout_s=UP_S + 60)
    return clone


@contextlib.contextmanager
def entered(project: Project, user: str, folder: Path) -> Iterator[paho.Client]:
    """Enter the broker from the host as a user."""
    access(project, user, folder)
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(user, (folder / user).read_text())
    client.tls_set(str(folder / "ca.crt"), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.connect("localhost", int(project.environment["MQTT_PORT"]))
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_fresh_clone_becomes_healthy_without_a_file_edited(up: Project) -> None:
    assert {service for service in SERVICES if up.healthy(service)} == set(SERVICES)
    assert not (up.folder / ".env").exists()


def test_an_alert_of_the_drawn_camera_reaches_a_program_on_the_host(
    up: Project, tmp_path: Path
) -> None:
    heard: list[dict[str, object]] = []
    with entered(up, "consumer", tmp_path) as consumer:
        consumer.on_message = lambda _c, _u, message: heard.append(json.loads(message.payload))
        consumer.subscribe("secondlook/alerts/#", qos=1)
        until(lambda: heard, "an alert")
    assert heard[0]["camera"] == "demo"
    assert heard[0]["status"] == "confirmed"


def test_the_command_line_in_its_container_shows_an_alert(up: Project) -> None:
    argv = ["run", "--rm", "-T", "tools", "test-alert", "--camera", "demo"]
    assert "demo" in up.run(*argv).stdout


def test_a_consumer_cannot_publish_an_alert(up: Project, tmp_path: Path) -> None:
    false = "secondlook/alerts/demo/forged"
    heard: list[str] = []
    with entered(up, "operator", tmp_path) as operator, entered(up, "consumer", tmp_path) as forger:
        ready = threading.Event()
        operator.on_subscribe = lambda *_: ready.set()
        operator.on_message = lambda _c, _u, message: heard.append(message.topic)
        operator.subscribe([("secondlook/alerts/#", 1), ("secondlook/replay", 1)])
        assert ready.wait(30)
        forger.publish(false, b"{}", qos=1).wait_for_publish(30)
        forger.publish("secondlook/replay", b"{}", qos=1).wait_for_publish(30)
        until(lambda: "secondlook/replay" in heard, "what a consumer may say")
    assert false not in heard


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_nobody_special_and_writes_nowhere_but_in_its_volumes(
    up: Project, service: str
) -> None:
    status = up.shell(service, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == ["10001"] * 4
    assert {fields[name] for name in fields if name.startswith("Cap")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert "Read-only" in up.exec(service, "touch", "/here", check=False)
    writable = up.shell(
        service,
        "cut -d' ' -f2 /proc/mounts | while read p; do test -d $p -a -w $p && echo $p; done; true",
    )
    # The kernel's message queues belong to the container's own namespace.
    assert set(writable.splitlines()) - {"/dev/mqueue"} <= VOLUMES


@pytest.mark.parametrize(("service", "may"), [(s, s == "producers") for s in OURS])
def test_frames_are_in_memory_and_written_by_the_producers_alone(
    up: Project, service: str, may: bool
) -> None:
    mounts = [line.split() for line in up.shell(service, "cat /proc/mounts").splitlines()]
    [(kind, options)] = [(m[2], m[3].split(",")) for m in mounts if m[1] == "/frames"]
    assert kind == "tmpfs"
    assert {"noexec", "nosuid", "nodev"} <= set(options)
    assert ("rw" in options) is may
    said = up.exec(service, "sh", "-c", "touch /frames/x && rm /frames/x", check=False)
    assert (not said) is may, said


def test_pictures_go_to_triton_through_shared_memory(up: Project) -> None:
    for service, port in (("detector", 9102), ("classifier", 9103)):
        until(
            lambda s=service, p=port: up.metrics(s, p)["secondlook_triton_shared_calls"] > 3,  # type: ignore[misc]
            f"calls of the {service} through shared memory",
        )
        numbers = up.metrics(service, port)
        assert numbers["secondlook_triton_shared_memory"] == 1


@pytest.mark.parametrize("service", ["producers", *WITH_TRITON])
def test_the_doctor_in_a_container_finds_nothing_missing(up: Project, service: str) -> None:
    said = up.exec(service, "secondlook", "doctor")
    assert "missing" not in said
    assert "lacking" not in said
    assert "frames in /frames: room for" in said
    shares = "Triton at triton:8001 answers and shares this memory" in said
    assert shares is (service in WITH_TRITON)


def test_secrets_are_in_no_image_and_nobody_elses_container(up: Project, tmp_path: Path) -> None:
    for user in OURS:
        access(up, user, tmp_path)
    passwords = {user: (tmp_path / user).read_text() for user in OURS}
    assert len(set(passwords.values())) == len(OURS)
    for service in OURS:
        said = up.shell(service, "cat /login/* /proc/self/environ 2>/dev/null; env")
        assert {user for user, secret in passwords.items() if secret in said} == {service}
        history = subprocess.run(
            ["docker", "history", "--no-trunc", f"secondlook-{service}:test"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert not [secret for secret in passwords.values() if secret in history]


def test_broker_and_page_listen_on_loopback_alone(up: Project) -> None:
    bound = {
        (address["HostIp"], address["HostPort"])
        for service in SERVICES
        for found in [up.inspected(service)["NetworkSettings"]["Ports"] or {}]
        for addresses in found.values()
        for address in addresses or ()
    }
    assert bound == {("127.0.0.1", up.environment[f"{what}_PORT"]) for what in ("MQTT", "PAGE")}


def test_the_page_answers_a_browser_of_this_machine_with_a_live_picture(up: Project) -> None:
    at = f"http://localhost:{up.environment['PAGE_PORT']}"
    with urllib.request.urlopen(at, timeout=30) as answer:
        assert "Second Look" in answer.read().decode()
    # Of the frame store, which the page may read and nothing else.
    until(
        lambda: shown(f"{at}/cameras/demo/live.jpg").startswith(b"\xff\xd8"),
        "a picture of the camera",
    )


def shown(address: str) -> bytes:
    """Return what the page gives, or nothing."""
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - of this machine
        found: bytes = answer.read()
        return found
    return b""


def test_triton_and_the_detector_reach_nobody_outside(up: Project) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    said = up.exec("detector", "python", "-c", code, check=False)
    assert "unreachable" in said


def test_engines_are_refused_in_a_sentence_where_there_is_no_gpu(up: Project) -> None:
    done = up.run("run", "--rm", "-T", "build-engines", check=False)
    assert done.returncode == 1
    assert "this image has no trtexec: DEVICE in .env must be gpu-tensorrt" in done.stderr


def test_check_finds_nothing_wrong(up: Project) -> None:
    said = up.tool("check")
    assert "wrong" not in said
    assert "detector model yolov5, version 1" in said


def test_a_backup_is_made_in_the_container_and_put_back(up: Project, tmp_path: Path) -> None:
    said = up.exec("classifier", "secondlook", "backup", "data/kept.tar.gz")
    assert "kept.tar.gz" in said
    up.run("cp", "classifier:/secondlook/data/kept.tar.gz", str(tmp_path / "kept.tar.gz"))
    assert (tmp_path / "kept.tar.gz").stat().st_size > 1000
    up.run("stop", "classifier")
    restore = ("restore", "data/kept.tar.gz", "--keep-config", "--force")
    options = ("--rm", "-T", "--no-deps", "--entrypoint", "secondlook")
    up.run("run", *options, "classifier", *restore)
    up.run("up", "--detach", "--wait", timeout_s=UP_S)
    assert up.healthy("classifier")


def test_another_configuration_is_taken_by_up_alone(up: Project) -> None:
    mine = up.folder / "config.yaml"
    mine.write_text((up.folder / "deploy" / "demo.yaml").read_text().replace("demo:", "mine:"))
    mine.chmod(0o644)
    chosen = Project(up.folder, up.name, up.environment | {"CONFIG": "config.yaml"})
    argv = ["up", "--detach", "--wait", "--wait-timeout", str(int(UP_S))]
    chosen.run(*argv, timeout_s=UP_S + 60)
    assert "mine:" in chosen.shell("detector", "cat config.yaml")
    until(lambda: "camera mine is online" in chosen.run("logs", "producers").stdout, "my camera")
    up.run(*argv, timeout_s=UP_S + 60)
    assert "demo:" in up.shell("detector", "cat config.yaml")


def test_a_configuration_that_is_not_there_is_an_error(up: Project) -> None:
    wrong = Project(up.folder, up.name, up.environment | {"CONFIG": "nothing.yaml"})
    done = wrong.run("up", "--detach", "detector", check=False)
    assert done.returncode != 0
    assert "nothing.yaml" in done.stderr
    assert not (up.folder / "nothing.yaml").exists()
    up.run("up", "--detach", "--wait", timeout_s=UP_S)


def test_a_stop_is_heard_and_nobody_has_to_be_killed(up: Project) -> None:
    up.run("stop")
    states = {service: up.inspected(service)["State"] for service in SERVICES}
    assert {service: state["ExitCode"] for service, state in states.items()} == dict.fromkeys(
        SERVICES, 0
    )
    assert not any(state["OOMKilled"] for state in states.values())


def test_down_leaves_nothing_but_volumes_and_up_again_knows_them(up: Project) -> None:
    up.run("down", "--timeout", "20")
    assert named("container", up.name) == named("network", up.name) == []
    kept = named("volume", up.name)
    assert {name.removeprefix(f"{up.name}_") for name in kept} >= {"classifier-data", "access"}
    up.run("up", "--detach", "--wait", "--wait-timeout", str(int(UP_S)), timeout_s=UP_S + 60)
    assert named("volume", up.name) == kept
