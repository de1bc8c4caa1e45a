"""Services that freeze on a real broker, whatever that broker thinks of silent clients."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise, takewhile
from typing import NamedTuple, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from secondlook.beats import LATE_S, SILENT_S
from tests.integration.broker_fixtures import Broker
from tests.integration.broker_fixtures import running as broker_running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 50

# A service with nothing to do. Its keepalive is so long that only the others can notice. SIGTERM,
# for programs that a shell starts in its background, and their children, are deaf to SIGINT.
IDLE = """
import asyncio, contextlib, logging, signal, sys
from secondlook.adapters.bus import Bus
from secondlook.beating import beat_and_watch
from secondlook.config import Mqtt

async def main(port, name):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    async with Bus(Mqtt(port=port, keepalive_s=600), service=name) as bus:
        await beat_and_watch(bus, name)

logging.basicConfig()
with contextlib.suppress(asyncio.CancelledError):
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_running("mosquitto") as running:
        yield running


@contextlib.contextmanager
def idle(broker: Broker, name: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", IDLE, str(broker.port), name])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


class Heard(NamedTuple):
    at_s: float
    service: str
    said: str
    """`online` or `offline`, or the beat `alive`."""


class Ear:
    """Hears statuses and beats in the order in which the broker sends them to everyone."""

    def __init__(self, broker: Broker) -> None:
        self.all: list[Heard] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("secondlook/status/+", 1), ("secondlook/beats/+", 0)]
        )
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", broker.port)

    def _hear(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        service = message.topic.rpartition("/")[2]
        self.all.append(Heard(time.monotonic(), service, message.payload.decode()))

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def hears(self, *wanted: tuple[str, str], since: int = 0) -> list[Heard]:
        """Wait until it has heard these in this order; return all up to the last of them."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            found, rest = since, list(wanted)
            while rest and found < len(self.all):
                if self.all[found][1:] == rest[0]:
                    rest.pop(0)
                found += 1
            if not rest:
                return self.all[since:found]
            time.sleep(0.02)
        pytest.fail(f"{wanted} did not come; heard was {self.all[since:]}")


def of(heard: list[Heard], service: str, said: str) -> list[Heard]:
    return [each for each in heard if each[1:] == (service, said)]


@pytest.mark.parametrize(
    ("frozen", "watcher"),
    [("producers", "classifier"), ("detector", "classifier"), ("classifier", "detector")],
)
def test_a_frozen_service_is_offline_by_the_word_of_another_and_objects_when_it_thaws(
    broker: Broker, frozen: str, watcher: str
) -> None:
    with Ear(broker) as ear, idle(broker, watcher), idle(broker, frozen) as process:
        # Before its second beat the watcher has subscribed: then it knows the other too.
        mine, its = (watcher, "alive"), (frozen, "alive")
        known = len(ear.hears(mine, mine, its, mine))

        process.send_signal(signal.SIGSTOP)
        silence = ear.hears((frozen, "offline"), since=known)
        thawed = len(ear.all)
        process.send_signal(signal.SIGCONT)
        back = ear.hears((frozen, "online"), since=thawed)

    last = max(
        place for place, each in enumerate(ear.all[: known + len(silence)]) if each[1:] == its
    )
    beats = of(ear.all[last : known + len(silence)], *mine)
    # By the beats of the watcher, a second or more apart: when it is late itself it begins anew.
    assert len(beats) >= 3
    late = [later.at_s - earlier.at_s > LATE_S for earlier, later in pairwise(beats)]
    in_time = list(takewhile(lambda each: not each, reversed(late)))
    assert len(in_time) <= SILENT_S + 3
    assert len(of(back, *its)) <= 3


def test_a_service_that_stops_in_order_does_not_object_to_its_own_goodbye(
    broker: Broker,
) -> None:
    with Ear(broker) as ear, idle(broker, "classifier"), idle(broker, "producers") as process:
        lives = len(ear.hears(("producers", "alive")))
        process.send_signal(signal.SIGTERM)
        ear.hears(("producers", "offline"), since=lives)
        assert process.wait(PATIENCE_S) == 0
    with Ear(broker) as late:
        late.hears(("producers", "offline"))
        assert of(late.all, "producers", "online") == []
