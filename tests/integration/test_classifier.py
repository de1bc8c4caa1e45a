"""The classifier as a process: crops in, verdicts, alerts and states out."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from secondlook import topics
from secondlook.jpeg import comment_of
from secondlook.local.tritonserver import Server
from secondlook.messages import Replay, ReplayEnd, moment_of
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import BLUE, GREEN, GREY, RED, WHITE, Rig, rigged

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(broker: Broker, verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(broker, verdicts_server, tmp_path) as one:
        await one.live()
        yield one


async def test_two_confirmed_looks_become_an_alert_that_ends(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(lambda: rig.state("small_gun") == "ON")
    await rig.watch(7)
    await rig.until(lambda: rig.state("small_gun") == "OFF")

    new, end = rig.alerts()
    assert (new.event, new.label, new.status, new.sequence) == ("new", "small_gun", "confirmed", 0)
    assert (end.event, end.reason, end.sequence, end.id) == ("end", "gone", 1, new.id)
    assert new.decision.rule == "2 of 3 looks within 2.0 s"
    assert new.classifier is not None
    assert new.classifier.model == "efficientnet_b0"
    assert not new.late
    latency = new.latency_ms
    assert latency.classified is not None
    assert 0 <= latency.received <= latency.classified <= latency.decided
    assert [verdict.outcome for verdict in rig.verdicts()] == ["confirmed", "confirmed"]
    assert rig.verdicts()[-1].episode in {new.id, None}
    assert rig.said(topics.LAST, label="small_gun") == [new, end]
    assert [event.event_type for event in rig.said(topics.EVENTS)] == ["alert"]
    await rig.until(lambda: rig.counters().alerts == 1)


async def test_the_snapshot_comes_before_its_alert_and_the_state_after_the_details(
    rig: Rig,
) -> None:
    heard = len(rig.heard)
    await rig.show(RED, RED)
    await rig.until(lambda: rig.said(topics.EVENTS))
    # The states at the start are said twice, and the second time may come late.
    rig.heard[:] = [each for each in rig.heard[heard:] if each[2] != "OFF"]
    order = rig.order(topics.SNAPSHOTS, topics.ALERTS, topics.LAST, topics.STATE, topics.EVENTS)
    assert order == ["snapshots", "alerts", "last", "state", "events"]
    [snapshot] = rig.said(topics.SNAPSHOTS)
    assert comment_of(snapshot) == rig.alerts()[0].snapshot_id
    decoded = cv2.imdecode(np.frombuffer(snapshot, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None


async def test_what_is_rejected_becomes_an_event_and_no_alert(rig: Rig) -> None:
    await rig.show(GREEN, GREEN, GREY, WHITE)
    await rig.end_track()
    await rig.until(lambda: rig.said(topics.EVENTS) and len(rig.verdicts()) == 4)
    assert [v.outcome for v in rig.verdicts()] == ["rejected", "rejected", *["uncertain"] * 2]
    assert rig.verdicts()[0].label == "phone"
    assert rig.verdicts()[3].score == 0
    [event] = rig.said(topics.EVENTS)
    assert (event.event_type, event.label, event.id) == ("rejected", "phone", "yard-1")
    assert rig.alerts() == []
    await rig.until(lambda: rig.counters().rejections == 1)


async def test_another_label_escalates(rig: Rig) -> None:
    await rig.show(RED, RED, BLUE, BLUE)
    await rig.until(lambda: len(rig.alerts()) == 3)
    small, end, big = rig.alerts()
    assert (end.id, end.reason) == (small.id, "escalated")
    assert (big.event, big.label, big.supersedes) == ("new", "big_gun", small.id)
    await rig.until(lambda: rig.state("big_gun") == "ON")
    assert rig.state("small_gun") == "OFF"


async def test_crops_that_are_sent_again_change_nothing(rig: Rig) -> None:
    crops = [rig.crop(), rig.crop()]
    for _ in range(4):
        await rig.send(*crops)
    await rig.show(GREEN, track="2")
    # It was OFF before it began, too.
    await rig.until(lambda: len(rig.verdicts()) == 3 and rig.state("small_gun") == "ON")
    await rig.watch(7)
    await rig.until(lambda: rig.state("small_gun") == "OFF")
    assert [(a.event, a.sequence) for a in rig.alerts()] == [("new", 0), ("end", 1)]


async def test_at_the_start_every_state_is_off(rig: Rig) -> None:
    states = {(levels["camera"], levels["label"]) for _, levels, m in rig.heard if m == "OFF"}
    assert states == {(c, label) for c in ("yard", "door") for label in ("small_gun", "big_gun")}


async def test_rubbish_is_counted_and_the_next_crop_is_judged(rig: Rig) -> None:
    one_pixel = cv2.imencode(".jpg", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    bomb = bytearray(rig.crop().jpeg)
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    for jpeg in (b"", b"no picture", one_pixel, bytes(bomb), rig.crop().jpeg[:200]):
        await rig.send(rig.crop(track="9", jpeg=jpeg))
    client = rig.bus._connection.client  # type: ignore[union-attr]
    for payload in (b"", b"null", b"[" * 100_000, b"\xff" * 1000, b'{"schema": 1}', b"x" * 10**7):
        client.publish("secondlook/crops/yard", payload, qos=1)
    for topic in ("crops/no/such", "crops/../yard", "crops/UPPER", "set/yard/x/y", "feedback"):
        client.publish(f"secondlook/{topic}", b'{"a": NaN}', qos=1)
    await rig.send(rig.crop(camera="nowhere"))
    await rig.send(rig.crop(track="8", age_s=10_000))
    await rig.show(RED, RED, track="2")
    await rig.until(rig.alerts)
    await rig.until(lambda: len(rig.said(topics.DEAD_LETTERS)) >= 2 and rig.verdicts())
    letters = partial(rig.said, topics.DEAD_LETTERS)
    await rig.until(lambda: any("not a JPEG" in letter.reason for letter in letters()))
    assert {verdict.track for verdict in rig.verdicts()} == {"yard-2"}


async def test_a_test_alert_goes_the_whole_way_and_touches_no_state(rig: Rig) -> None:
    await rig.command("test_alert", {"label": "big_gun"}, camera="door")
    await rig.until(lambda: len(rig.alerts()) == 2)
    new, end = rig.alerts()
    assert (new.test, new.event, new.label, new.camera) == (True, "new", "big_gun", "door")
    assert (end.test, end.event, end.id, end.sequence) == (True, "end", new.id, 1)
    assert comment_of(rig.said(topics.SNAPSHOTS)[-1]) == new.snapshot_id
    assert rig.order(topics.SNAPSHOTS, topics.ALERTS) == ["snapshots", "alerts", "alerts"]
    assert "ON" not in rig.said(topics.STATE)
    assert rig.said(topics.LAST) == []
    assert {alert.id for alert in await rig.replayed(600)} == {new.id}


async def test_commands_that_are_not_for_us_are_refused(rig: Rig) -> None:
    client = rig.bus._connection.client  # type: ignore[union-attr]
    client.publish("secondlook/set/yard/test_alert", b"{}", qos=1, retain=True)
    await rig.command("volume", 11)
    await rig.command("test_alert", {"label": "cannon"})
    await rig.command("test_alert", {}, camera="nowhere")
    await rig.until(lambda: "no such camera" in rig.log.read_text())
    # A live message is obeyed although it is to be kept; the kept copy never is.
    await rig.until(lambda: len(rig.alerts()) == 2)
    await rig.delivered()
    await rig.die()
    await rig.live()
    await rig.until(lambda: "must not be obeyed again" in rig.log.read_text())
    log = rig.log.read_text()
    for reason in ("no such key", "cannon is not among"):
        assert reason in log
    assert len(rig.alerts()) == 2
    client.publish("secondlook/set/yard/test_alert", b"", qos=1, retain=True)


async def test_replay_gives_the_alerts_again_in_order_and_an_end(rig: Rig) -> None:
    for number in range(5):
        await rig.show(RED, RED, track=str(number * 7 + 1))
    await rig.until(lambda: len(rig.alerts()) == 5)
    assert await rig.replayed(600) == rig.alerts()
    assert await rig.replayed(-60) == []


async def test_everyone_who_asks_for_a_replay_at_once_is_answered(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(rig.alerts)
    since = moment_of(time.time_ns() - 600_000_000_000)
    for number in range(40):
        rig.bus.send(topics.REPLAY, Replay(since=since, client=f"asker-{number}"))

    def ended() -> set[str]:
        replayed = [each for each in rig.heard if each[0] == topics.REPLAYED.pattern]
        return {levels["client"] for _, levels, said in replayed if isinstance(said, ReplayEnd)}

    await rig.until(lambda: len(ended()) == 40)
    assert len(rig.said(topics.REPLAYED)) == 80, "an alert and an end for each"


async def test_a_clean_end_says_offline(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        await rig.started()
        assert await asyncio.to_thread(rig.end, signal.SIGTERM) == 0
        await rig.until(lambda: rig.statuses("classifier")[-1] == "offline")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        pytest.param(
            "alerts.labels=[small_gun,cannon]",
            "alerts.labels: the classifier does not know cannon",
            id="unknown-label",
        ),
        pytest.param("classifier.model=nothing", "nothing", id="no-such-model"),
    ],
)
async def test_a_wrong_configuration_stops_the_start_with_one_sentence(
    broker: Broker, verdicts_server: Server, tmp_path: Path, setting: str, says: str
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        rig.start("--set", setting)
        assert rig.process is not None
        code = await asyncio.to_thread(rig.process.wait, 60)
        assert code == 78
        last = rig.log.read_text().strip().splitlines()[-1]
        assert last.startswith("classifier: ")
        assert says in last
        assert "Traceback" not in rig.log.read_text()


async def test_a_database_that_is_rubbish_stops_the_start_with_one_sentence(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        rig.database.parent.mkdir()
        rig.database.write_bytes(b"rubbish" * 1000)
        rig.start()
        assert rig.process is not None
        assert await asyncio.to_thread(rig.process.wait, 60) == 1
        assert "move it away" in rig.log.read_text().strip().splitlines()[-1]


async def test_it_works_on_a_broker_without_mqtt_5(
    any_broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(any_broker, verdicts_server, tmp_path) as rig:
        await rig.live()
        await rig.show(RED, RED)
        await rig.until(rig.alerts)
        assert await rig.replayed(600) == rig.alerts()
