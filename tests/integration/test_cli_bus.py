"""The commands that talk to a broker, as processes, against a real broker.

A few lines stand in for the classifier: these tests are about the subscribers' side.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from secondlook import samples, topics
from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt
from secondlook.jpeg import with_comment
from secondlook.messages import Alert, ReplayEnd, Stats
from tests.integration.broker_fixtures import PATIENCE_S, Broker, opened, running

pytestmark = pytest.mark.integration
ALERT = samples.ALERT
LONG_ENOUGH = "10"
"""Seconds in which a busy machine connects and hears each kind of message."""
FRONT_DOOR = {"camera": "front_door", "label": "small_gun"}


@pytest.fixture
def broker() -> Iterator[Broker]:
    with running("mosquitto") as one:
        yield one


class Classifier:
    """Answers `replay` with what it has, and `test_alert` with a marked alert."""

    def __init__(self, mqtt: Mqtt, outbox: list[Alert]) -> None:
        self.bus = Bus(mqtt, service="classifier")
        self._opened = opened(self.bus)
        self.outbox = outbox
        self.asked = 0

    async def __aenter__(self) -> Self:
        replays = self.bus.subscribe(topics.REPLAY)
        commands = self.bus.subscribe(topics.SET)
        await self._opened.__aenter__()
        self._tasks = [
            asyncio.create_task(self._replay(aiter(replays))),
            asyncio.create_task(self._test(aiter(commands))),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._opened.__aexit__(None, None, None)

    async def _replay(self, asked: AsyncIterator[Any]) -> None:
        async for delivery in asked:
            self.asked += 1
            client = delivery.message.client
            for alert in self.outbox:
                await self.bus.publish(topics.REPLAYED, alert, client=client)
            await self.bus.publish(topics.REPLAYED, ReplayEnd(end=True), client=client)

    async def _test(self, commands: AsyncIterator[Any]) -> None:
        async for delivery in commands:
            if delivery.levels == {"camera": "front_door", "key": "test_alert"}:
                await self.alert(ALERT.model_copy(update={"test": True}))

    async def alert(self, alert: Alert) -> None:
        await self.bus.publish(topics.ALERTS, alert, **FRONT_DOOR)

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.asked < times:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.02)


async def secondlook(*arguments: str, cwd: Path | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def at(broker: Broker) -> tuple[str, str]:
    return "--broker", f"127.0.0.1:{broker.port}"


def numbered(*sequences: int) -> list[Alert]:
    return [ALERT.model_copy(update={"sequence": number}) for number in sequences]


async def test_alerts_prints_the_missed_and_the_live_ones_once(broker: Broker) -> None:
    async with Classifier(broker.mqtt(), numbered(0, 1)) as classifier:
        process = await secondlook(
            "alerts", *at(broker), "--json", "--since", "15m", "--count", "3"
        )
        await classifier.was_asked(1)
        for alert in numbered(1, 1, 2):
            await classifier.alert(alert)
        code, out, _ = await finished(process)

    assert code == 0
    printed = [json.loads(line) for line in out.splitlines()]
    assert sorted(alert["sequence"] for alert in printed) == [0, 1, 2]
    assert {alert["id"] for alert in printed} == {ALERT.id}


async def test_alerts_asks_again_when_the_classifier_comes_back(broker: Broker) -> None:
    async with Classifier(broker.mqtt(), []) as first:
        process = await secondlook("alerts", *at(broker), "--count", "1")
        await first.was_asked(1)
    async with Classifier(broker.mqtt(), numbered(7)) as second:
        await second.was_asked(1)
        code, out, _ = await finished(process)

    assert code == 0
    assert "ALERT new" in out
    assert "small_gun" in out


async def test_a_test_alert_that_arrives_is_timed(broker: Broker) -> None:
    async with Classifier(broker.mqtt(), []):
        process = await secondlook("test-alert", *at(broker), "--camera", "front_door")
        code, out, _ = await finished(process)

    assert code == 0
    assert out.startswith("The test alert of front_door arrived after ")


async def test_a_test_alert_that_nobody_sends_is_status_1(broker: Broker) -> None:
    process = await secondlook("test-alert", *at(broker), "--camera", "front_door")

    code, _, err = await finished(process)

    assert code == 1
    assert "no test alert of front_door within 10 s" in err


async def test_watch_into_a_pipe_prints_plain_lines(broker: Broker) -> None:
    (verdict,) = samples.SAMPLES[topics.VERDICTS.pattern]
    process = await secondlook("watch", *at(broker), "--seconds", LONG_ENOUGH)
    async with Classifier(broker.mqtt(), []) as classifier:
        done = asyncio.create_task(finished(process))
        while not done.done():
            await classifier.bus.publish(topics.VERDICTS, verdict, camera="front_door")
            await classifier.alert(ALERT)
            await asyncio.sleep(0.2)
        code, out, _ = await done

    assert code == 0
    assert "service classifier: online" in out
    assert "look   confirmed" in out
    assert "ALERT new" in out


async def test_watch_prints_json_and_saves_pictures(broker: Broker, tmp_path: Path) -> None:
    (verdict,) = samples.SAMPLES[topics.VERDICTS.pattern]
    picture = with_comment(samples.TINY_JPEG, f"{ALERT.id}.0")
    process = await secondlook(
        *("watch", *at(broker), "--seconds", LONG_ENOUGH, "--json"),
        *("--save", str(tmp_path / "pictures")),
    )
    async with Classifier(broker.mqtt(), []) as classifier:
        done = asyncio.create_task(finished(process))
        while not done.done():
            await classifier.bus.publish(topics.SNAPSHOTS, picture, camera="front_door")
            await classifier.bus.publish(topics.PICTURES, picture, camera="front_door", kind="crop")
            await classifier.bus.publish(topics.VERDICTS, verdict, camera="front_door")
            await classifier.alert(ALERT)
            await asyncio.sleep(0.2)
        code, out, _ = await done

    assert code == 0
    said = {line["topic"]: line for line in map(json.loads, out.splitlines())}
    assert said["status/classifier"]["message"] == "online"
    assert said["alerts/front_door/small_gun"]["message"]["id"] == ALERT.id
    assert said["verdicts/front_door"]["retained"] is False
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {f"{ALERT.id}.0.jpg", f"{ALERT.id}.0.crop.jpg"}


async def test_watch_ends_when_nobody_reads_it(broker: Broker) -> None:
    process = await secondlook("watch", *at(broker), "--json")
    assert process.stdout is not None
    async with Classifier(broker.mqtt(), []) as classifier:
        first = asyncio.create_task(process.stdout.readline())
        while not first.done():
            await classifier.alert(ALERT)
            await asyncio.sleep(0.2)
        assert json.loads(await first)
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE_S):
            while process.returncode is None:
                await classifier.alert(ALERT)
                await asyncio.sleep(0.2)
    assert process.stderr is not None
    assert b"Traceback" not in await process.stderr.read()


async def test_check_says_what_is_wrong_with_each_part(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "cameras:\n"
        "  drawn:\n    source: 'synthetic:'\n    zones: {door: [[0, 0], [1, 0], [1, 1]]}\n"
        "  gone:\n    source: rtsp://me:geheim@127.0.0.1:9/stream\n"
        f"mqtt: {{port: {broker.port}}}\n"
        "triton: {url: '127.0.0.1:9'}\n"
    )
    process = await secondlook("check", cwd=tmp_path)

    code, out, err = await finished(process)

    assert code == 1
    said = {line.split()[0]: line for line in out.splitlines() if "camera" in line}
    assert "camera drawn: 1280x720" in said["ok"]
    assert "camera gone: nothing answers at 127.0.0.1:9" in said["wrong"]
    assert f"ok     broker at 127.0.0.1:{broker.port}" in out
    assert "wrong  detector model yolov5" in out
    assert "geheim" not in out + err
    assert (tmp_path / "check-pictures" / "drawn.jpg").stat().st_size > 10_000


async def test_check_without_a_broker_names_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "cameras: {drawn: {source: 'synthetic:'}}\nmqtt: {port: 9}\ntriton: {url: '127.0.0.1:9'}\n"
    )
    process = await secondlook("check", cwd=tmp_path)

    code, out, _ = await finished(process)

    assert code == 1
    assert "no broker at 127.0.0.1:9" in out


async def test_the_doctor_tells_what_is_wrong_with_a_running_system(broker: Broker) -> None:
    async with Classifier(broker.mqtt(), []) as classifier:
        bus = classifier.bus
        await bus.publish(topics.CAMERA_STATUS, "offline", camera="front_door")
        await bus.publish(topics.CONFIG, False, camera="front_door", key="armed")
        await bus.publish(topics.STATUS, "online", service="producers")
        process = await secondlook("doctor", *at(broker), "--json")
        done = asyncio.create_task(finished(process))
        second = 0
        while not done.done():
            for service in ("producers", "classifier"):
                at_ = samples.CAPTURED + timedelta(seconds=second)
                counters = {"bus_connected": 1.0}
                stats = Stats(service=service, version="1", at=at_, counters=counters)
                await bus.publish(topics.STATS, stats, service=service)
            second += 10
            await asyncio.sleep(0.5)
        code, out, err = await done

    assert code == 1, err
    found = {line["what"]: line["verdict"] for line in map(json.loads, out.splitlines())}
    assert found == {
        f"the broker at 127.0.0.1:{broker.port} answers": "ok",
        "online: producers, classifier (version 1)": "ok",
        "nothing is looked at: the detector is offline": "wrong",
        "Triton does not answer the detector: nothing is looked at": "wrong",
        "camera front_door is offline: it is not watched": "wrong",
    }


async def test_the_doctor_without_a_broker_looks_at_the_machine(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("cameras: {a: {source: 'synthetic:'}}\nmqtt: {port: 9}\n")
    process = await secondlook("doctor", cwd=tmp_path)

    code, out, _ = await finished(process)

    assert code == 1
    assert out.splitlines()[0].startswith("wrong    no broker at 127.0.0.1:9")
    assert "Python 3." in out
