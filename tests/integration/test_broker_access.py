"""The broker's users against a real mosquitto over TLS: each tries everything."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from click.testing import CliRunner

from secondlook import access, topics
from secondlook.cli import main
from tests.integration.broker_fixtures import (
    MOSQUITTO,
    PATIENCE_S,
    free_port,
    wait_until_answers,
)
from tests.integration.secured_broker import Secured

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto"),
]
LEVELS = {
    "camera": "door",
    "label": "gun",
    "service": "other",
    "client": "me",
    "key": "armed",
    "kind": "crop",
}
NAMES = [user.name for user in access.USERS]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    one = Secured(tmp_path_factory.mktemp("broker"))
    try:
        yield one
    finally:
        one.stop()


def paths() -> set[str]:
    """Every kind of topic, once for someone else and once for each service."""
    some = {topic.filter("secondlook", **LEVELS) for topic in topics.ALL}
    own = {
        topic.path("secondlook", service=name)
        for topic in (topics.STATUS, topics.STATS, topics.DEAD_LETTERS)
        for name in (*access.SERVICES, "triton")
    }
    theirs = {"homeassistant/status", "homeassistant/device/x/config", "secondlook/homeassistant/x"}
    return some | own | theirs | {"secondlook", "x"}


def allowed(user: str, what: str) -> set[str]:
    rules = [rule.filter for rule in access.rules(user, "secondlook") if rule.may == what]
    return {path for path in paths() if any(paho.topic_matches_sub(rule, path) for rule in rules)}


def heard(client: paho.Client, pattern: str) -> set[str]:
    """Collect topics from now on; the set goes on filling."""
    found: set[str] = set()
    ready = threading.Event()
    client.on_message = lambda _c, _u, message: found.add(message.topic)
    client.on_subscribe = lambda *_: ready.set()
    client.subscribe(pattern, qos=1)
    assert ready.wait(PATIENCE_S)
    return found


def publish_everywhere(client: paho.Client, where: set[str]) -> None:
    for path in sorted(where):
        client.publish(path, b"x", qos=1).wait_for_publish(PATIENCE_S)


@pytest.mark.parametrize("user", NAMES)
def test_a_user_writes_what_its_rules_say_and_nothing_else(secured: Secured, user: str) -> None:
    # What the operator may not read is read by Home Assistant.
    with secured.client("operator") as operator, secured.client("homeassistant") as assistant:
        found = heard(operator, "#")
        announced = heard(assistant, "#")
        with secured.client(user) as attacker:
            publish_everywhere(attacker, paths())
        # A message of one that may write follows the others to the same readers.
        with secured.client("homeassistant") as last:
            last.publish("secondlook/replay", b"the end", qos=1).wait_for_publish(PATIENCE_S)
            last.publish("homeassistant/status", b"the end", qos=1).wait_for_publish(PATIENCE_S)
        wanted = allowed(user, "write") | {"secondlook/replay", "homeassistant/status"}
        deadline = time.monotonic() + PATIENCE_S
        while not wanted <= found | announced and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found | announced == wanted


@pytest.mark.parametrize("user", NAMES)
def test_a_user_reads_what_its_rules_say_and_nothing_else(secured: Secured, user: str) -> None:
    with contextlib.ExitStack() as stack:
        found = heard(stack.enter_context(secured.client(user)), "#")
        for writer in NAMES:
            publish_everywhere(
                stack.enter_context(secured.client(writer)), allowed(writer, "write")
            )
        # The last writer's messages have to arrive too: then its earlier ones have.
        everywhere = set().union(*(allowed(name, "write") for name in NAMES))
        wanted = allowed(user, "read") & everywhere
        deadline = time.monotonic() + PATIENCE_S
        while not wanted <= found and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        assert found == wanted


def test_nobody_enters_without_a_password(secured: Secured) -> None:
    for user, password in (("", "x"), ("classifier", "wrong"), ("mallory", "x")):
        with pytest.raises(PermissionError), secured.client(user, password):
            pass


def test_a_broker_with_another_authority_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    CliRunner().invoke(main, ["broker-config", "--out", str(tmp_path / "other")])
    context = ssl.create_default_context(cafile=tmp_path / "other" / "certificates" / "ca.crt")
    with (
        socket.create_connection(("127.0.0.1", secured.port), 5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_the_health_check_hears_itself_and_nobody_else_does(secured: Secured) -> None:
    with secured.client("health") as health, secured.client("operator") as operator:
        itself, others = heard(health, access.HEALTH), heard(operator, "#")
        health.publish(access.HEALTH, b"alive", qos=1).wait_for_publish(PATIENCE_S)
        operator.publish("secondlook/replay", b"the end", qos=1).wait_for_publish(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while not (itself and others) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert (itself, others) == ({access.HEALTH}, {"secondlook/replay"})


@pytest.mark.parametrize("options", [(), ("--no-tls",), ("--client-certificates",)])
def test_each_is_handed_what_it_needs_and_no_more(tmp_path: Path, options: tuple[str, ...]) -> None:
    for name in ("broker", "detector", "strangers"):
        (tmp_path / "given" / name).mkdir(parents=True)
    told = ["--out", str(tmp_path / "kept"), "--hand-out", str(tmp_path / "given"), *options]
    assert CliRunner().invoke(main, ["broker-config", *told]).exit_code == 0

    files = [path for path in (tmp_path / "given").rglob("*") if path.is_file()]
    given = {str(path.relative_to(tmp_path / "given")) for path in files}
    keys = {"ca.crt", "server.crt", "server.key"} if "--no-tls" not in options else set()
    login, brokers = {"password"}, {"passwd"}
    if "--client-certificates" in options:
        login, brokers, keys = (
            {"client.crt", "client.key"},
            set(),
            {*keys, "health.crt", "health.key"},
        )
    login |= {"username", *(keys & {"ca.crt"})}
    brokers |= {"acl", "mosquitto.conf", "mosquitto_rr", *(f"certificates/{key}" for key in keys)}
    assert given == {f"detector/{name}" for name in login} | {f"broker/{name}" for name in brokers}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.parametrize("options", [(), ("--no-tls",), ("--client-certificates",)])
def test_what_the_broker_is_handed_lets_it_check_its_health(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    given = tmp_path / "given" / "broker"
    given.mkdir(parents=True)
    (given / "data").mkdir()
    told = ["--out", str(tmp_path / "kept"), "--hand-out", str(given.parent), *options]
    port = free_port()
    told += ["--mounted", str(given), "--port", str(port)]
    assert CliRunner().invoke(main, ["broker-config", *told]).exit_code == 0
    conf = given / "mosquitto.conf"
    kept = conf.read_text().replace("/mosquitto/data", str(given / "data"))
    conf.write_text(kept + "user root\n")
    environment = os.environ | {"XDG_CONFIG_HOME": str(given)}

    def healthy() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["mosquitto_rr"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert healthy().returncode != 0
    with subprocess.Popen([str(MOSQUITTO), "-c", str(conf)]) as broker:
        try:
            wait_until_answers(port)
            deadline = time.monotonic() + PATIENCE_S
            while (done := healthy()).returncode and time.monotonic() < deadline:
                time.sleep(0.5)  # it has a few seconds each time, and engines ask again
        finally:
            broker.terminate()
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_a_second_run_keeps_passwords_and_authority(secured: Secured, tmp_path: Path) -> None:
    def written() -> tuple[str, str, str]:
        CliRunner().invoke(main, ["broker-config", "--out", str(tmp_path / "twice")])
        kept = tmp_path / "twice"
        return (
            (kept / "passwords" / "consumer").read_text(),
            (kept / "certificates" / "ca.crt").read_text(),
            (kept / "certificates" / "server.crt").read_text(),
        )

    first, second = written(), written()
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_no_password_is_printed_or_kept_in_the_brokers_own_files(secured: Secured) -> None:
    told = secured.said + "".join(
        (secured.folder / name).read_text() for name in ("passwd", "acl", "mosquitto.conf")
    )
    assert not [name for name in NAMES if secured.password(name) in told]
    modes = {path.stat().st_mode & 0o777 for path in (secured.folder / "passwords").iterdir()}
    assert modes == {0o600}


def test_a_certificate_stands_for_its_user_and_nobody_else(tmp_path: Path) -> None:
    broker = Secured(tmp_path, "--client-certificates")
    try:
        with broker.client("x", certificate="operator") as operator:
            found = heard(operator, "#")
            with broker.client("classifier", certificate="consumer") as consumer:
                publish_everywhere(consumer, {"secondlook/alerts/door/gun", "secondlook/replay"})
            deadline = time.monotonic() + PATIENCE_S
            while "secondlook/replay" not in found and time.monotonic() < deadline:
                time.sleep(0.05)
            assert found == {"secondlook/replay"}
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            broker.client("consumer", "x").__enter__()
    finally:
        broker.stop()
