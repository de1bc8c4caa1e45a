"""The whole system on a broker that lets each user do what it must and nothing else."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from secondlook import access
from secondlook.local.tritonserver import Server, TritonHome
from tests.integration.broker_fixtures import MOSQUITTO
from tests.integration.secured_broker import Secured
from tests.integration.secured_stack import MODULES, SecuredStack, secondlook, secured_stack
from tests.integration.stack_models import write_repository

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto"),
]


@pytest.fixture(scope="module")
def triton(triton_home: TritonHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton")
    with Server(triton_home, write_repository(folder / "models"), folder / "log.txt") as server:
        yield server


@pytest.fixture(params=["passwords", "certificates"])
def stack(request, triton, tmp_path: Path) -> Iterator[SecuredStack]:
    certificate = request.param == "certificates"
    broker = Secured(tmp_path / "broker", *["--client-certificates"] * certificate)
    try:
        options = {"certificate": certificate, "started": False}
        with secured_stack(broker, triton, tmp_path, **options) as stack:
            yield stack
    finally:
        broker.stop()


def may_read(user: str, asked: str) -> bool:
    rules = [rule.filter for rule in access.rules(user, "secondlook") if rule.may == "read"]
    return any(paho.topic_matches_sub(rule, asked) for rule in rules)


def subscribed(client: paho.Client, topic: str) -> None:
    """Subscribe, and return when the broker has answered."""
    answered = threading.Event()
    client.on_subscribe = lambda *_: answered.set()
    client.subscribe(topic, qos=1)
    assert answered.wait(30), "the broker did not answer"


def greetings(stack: SecuredStack) -> dict[str, int]:
    """Return how often the broker has heard each service's status."""
    topics = {name: f"secondlook/status/{name}" for name in MODULES}
    return {name: len(stack.broker.lines("Received PUBLISH", t)) for name, t in topics.items()}


def test_an_alert_reaches_a_consumer_and_no_service_is_refused(stack: SecuredStack) -> None:
    broker = stack.broker
    got: list[dict[str, object]] = []
    certificate = "consumer" if stack.certificate else None
    with broker.client("consumer", certificate=certificate) as consumer:
        consumer.on_message = lambda _c, _u, message: got.append(json.loads(message.payload))
        subscribed(consumer, "secondlook/alerts/#")
        # There is one alert and no second, so whoever is to hear it listens first.
        stack.start_all()
        stack.until(lambda: got)
        stack.until(lambda: stack.on("secondlook/stats/+"))
        stack.until(lambda: stack.on("secondlook/last/yard/small_gun"))
        # A broker that comes back: greetings, repetitions, retained states.
        before = greetings(stack)
        broker.stop()
        broker.start()
        stack.until(lambda: all(count > before[name] for name, count in greetings(stack).items()))
    login = ["--ca-file", str(broker.folder / "certificates" / "ca.crt")]
    if stack.certificate:
        keys = broker.folder / "certificates"
        login += ["--cert-file", str(keys / "operator.crt")]
        login += ["--key-file", str(keys / "operator.key")]
    else:
        login += ["--user", "operator"]
        login += ["--password-file", str(broker.folder / "passwords" / "operator")]
    where = ["--broker", f"127.0.0.1:{broker.port}", *login]

    tested = secondlook("test-alert", *where, "--camera", "yard")
    listed = secondlook("alerts", *where, "--since", "1h", "--json", "--count", "1")
    watched = secondlook("watch", *where, "--seconds", "10")
    checked = secondlook("check", "--config", str(stack.config("operator")))
    refused = broker.lines("Denied")

    assert got[0]["label"] == "small_gun"
    assert tested.returncode == 0, tested.stderr
    assert json.loads(listed.stdout.splitlines()[0])["camera"] == "yard", listed.stderr
    assert "service classifier: online" in watched.stdout, watched.stderr
    assert f"ok     broker at 127.0.0.1:{broker.port}" in checked.stdout, checked.stdout
    assert refused == []
    asked = {(user, topic) for user, topic in stack.subscriptions() if user in access.SERVICES}
    assert len(asked) >= 7
    assert {(user, topic) for user, topic in asked if not may_read(user, topic)} == set()
    assert stack.end() == {"classifier": 0, "detector": 0, "producers": 0}
    assert broker.lines("Denied") == []


def test_a_user_without_rights_is_told_so(tmp_path: Path) -> None:
    """Its requests are dropped by the broker: silence would look like a quiet night."""
    broker = Secured(tmp_path / "broker")
    try:
        done = secondlook(
            *("test-alert", "--broker", f"127.0.0.1:{broker.port}", "--camera", "yard"),
            *("--ca-file", str(broker.folder / "certificates" / "ca.crt"), "--user", "consumer"),
            SECONDLOOK_MQTT_PASSWORD=broker.password("consumer"),
        )
        wrong = secondlook(
            *("test-alert", "--broker", f"127.0.0.1:{broker.port}", "--camera", "yard"),
            *("--ca-file", str(broker.folder / "certificates" / "ca.crt"), "--user", "operator"),
            SECONDLOOK_MQTT_PASSWORD="hunter2",
        )
        assert broker.lines("Denied PUBLISH", "secondlook/set/yard/test_alert")
    finally:
        broker.stop()
    assert done.returncode == 1
    assert "refused the message: Not authorized" in done.stderr
    assert wrong.returncode == 1
    assert "it refused us: Not authorized; check mqtt.username" in wrong.stderr
    assert "hunter2" not in wrong.stderr
