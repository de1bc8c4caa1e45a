"""What is killed, frozen or cut around the classifier, and that no alert is lost by it."""

import asyncio
import contextlib
import itertools
import random
import resource
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.local.tritonserver import Server
from secondlook.messages import Alert
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import GREEN, RED, Rig, rigged

pytestmark = pytest.mark.integration

WAITING = "SELECT count(*) FROM inbox WHERE done_ns IS NULL"


def keys(alerts: list[Alert]) -> Counter[tuple[str, int]]:
    return Counter((alert.id, alert.sequence) for alert in alerts)


def kinds_of_events(rig: Rig) -> list[str]:
    return [event.event_type for event in rig.said(topics.EVENTS)]


async def stored(rig: Rig, number: int) -> None:
    """Wait until so many crops lie in the inbox."""
    await rig.until(lambda: rig.rows(WAITING) == [(number,)])


async def test_killed_after_the_inbox_has_taken_a_crop_it_alerts_exactly_once(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, mortal_server, tmp_path) as rig:
        # Without a Triton, crops are taken in and not judged.
        await rig.started()
        await rig.show(RED, RED)
        await stored(rig, 2)
        rig.end(signal.SIGKILL)
        await asyncio.to_thread(mortal_server.start)
        await rig.started()
        await rig.until(rig.alerts)
        rig.end(signal.SIGKILL)
        await rig.started()
        # It was OFF before it began, too.
        await rig.until(lambda: rig.state("small_gun") == "ON")
        await rig.watch(7)
        await rig.until(lambda: rig.state("small_gun") == "OFF")
        replayed = await rig.replayed(600)
        assert [(a.event, a.sequence) for a in replayed] == [("new", 0), ("end", 1)]
        await rig.until(lambda: set(keys(rig.alerts())) == set(keys(replayed)))


async def test_killed_again_and_again_every_track_alerts_once(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    chance = random.Random(11)
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        sent = []
        for round_ in range(5):
            await rig.started()
            for number in range(4):
                track = str(round_ * 4 + number + 1)
                sent += [rig.crop(RED, track), rig.crop(RED, track)]
            # What was sent to a classifier that died is sent again when it is back.
            sending = asyncio.create_task(rig.send(*sent))
            await asyncio.sleep(chance.uniform(0, 0.3))
            rig.end(signal.SIGKILL)
            await sending
        await rig.started()
        await rig.send(*sent)
        # The broker has them; a classifier that has nothing to do may not have heard of them yet.
        judged = "SELECT count(*) FROM inbox WHERE done_ns IS NOT NULL"
        await rig.until(lambda: rig.rows(judged) == [(len(sent),)])
        await rig.delivered()
        replayed = await rig.replayed(600)
        news = [alert for alert in replayed if alert.event == "new"]
        assert len(news) == 20
        assert max(keys(replayed).values()) == 1
        # Everybody who listened all the time has heard the same.
        assert set(keys(rig.alerts())) == set(keys(replayed))


async def test_a_broker_that_is_killed_in_between_costs_no_alert(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        await rig.live()
        await rig.show(RED, RED)
        await rig.until(rig.alerts)
        [first] = rig.alerts()
        crops = [rig.crop(RED, "2"), rig.crop(RED, "2")]
        sending = asyncio.create_task(rig.send(*crops))
        broker.kill()
        with contextlib.suppress(Exception):
            await sending
        rig.heard.clear()
        await asyncio.to_thread(broker.start)
        # The detector sends again what it has spooled.
        await rig.insist(lambda: rig.send(*crops), lambda: len(rig.verdicts()) > 0)
        # The broker is told again what it should have kept, whether it has or not.
        await rig.until(lambda: rig.state("small_gun") == "ON")
        await rig.until(lambda: rig.said(topics.LAST) and rig.said(topics.SNAPSHOTS))
        both = "SELECT count(*), count(alert_id), count(delivered_ns) FROM outbox"
        await rig.until(lambda: rig.rows(both) == [(2, 2, 2)])
        replayed = await rig.replayed(600)
        assert [alert.event for alert in replayed] == ["new", "new"]
        assert replayed[0] == first
        assert max(keys(replayed).values()) == 1


async def test_an_episode_outlives_a_broker_that_is_frozen_and_killed(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path, mqtt={"keepalive_s": 3}) as rig:
        await rig.live()
        await rig.show(RED, RED)
        await rig.until(rig.alerts)
        await rig.watch(3)
        connected = partial(rig.context.registry.get_sample_value, "secondlook_bus_connected")
        broker.freeze()
        try:
            await rig.until(lambda: connected() == 0)
        finally:
            broker.kill()
        await asyncio.to_thread(broker.start)
        await rig.insist(lambda: rig.watch(3), lambda: [a.event for a in rig.alerts()][-1] == "end")
        replayed = await rig.replayed(600)
        assert [(a.event, a.sequence) for a in replayed] == [("new", 0), ("end", 1)]


async def test_a_model_that_goes_away_holds_crops_and_says_so(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    await asyncio.to_thread(mortal_server.start)
    async with rigged(broker, mortal_server, tmp_path) as rig:
        await rig.live()
        await rig.show(GREEN)
        await rig.until(rig.verdicts)
        await asyncio.to_thread(mortal_server.kill)
        await rig.show(RED, RED, track="2")
        await rig.until(lambda: len(rig.said(topics.EVENTS)) >= 2)
        kinds = {(event.event_type, event.camera) for event in rig.said(topics.EVENTS)}
        assert kinds == {("model_down", "yard"), ("model_down", "door")}
        assert rig.alerts() == []
        await asyncio.to_thread(mortal_server.start)
        await rig.until(rig.alerts)
        [alert] = rig.alerts()
        assert alert.late
        assert (alert.status, alert.label) == ("confirmed", "small_gun")
        await rig.until(lambda: kinds_of_events(rig).count("model_up") == 2)
        # Again and again: on a machine that stands still for five seconds an alert is late.
        tracks = itertools.count(30)
        await rig.insist(
            lambda: rig.show(RED, RED, track=str(next(tracks))),
            lambda: not rig.alerts()[-1].late,
        )


async def test_a_model_too_slow_for_a_whole_batch_is_given_fewer_and_everything_is_judged(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "models" / "efficientnet_b0" / "1" / "seconds").write_text("0.1")
    await asyncio.to_thread(mortal_server.start)
    async with rigged(broker, mortal_server, tmp_path, triton={"deadline_s": 1.0}) as rig:
        await rig.live()
        # All at once, so that a whole batch waits: it would take 1.6 s.
        await asyncio.gather(*(rig.show(RED, RED, track=str(track)) for track in range(1, 17)))
        await rig.until(lambda: len(rig.verdicts()) == 32)
        assert {verdict.outcome for verdict in rig.verdicts()} == {"confirmed"}
        assert rig.context.registry.get_sample_value(
            "secondlook_classifier_inference_failures_total", {"cause": "timeout"}
        )


async def test_without_a_model_alerts_pass_unverified_and_are_settled_later(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    await asyncio.to_thread(mortal_server.start)
    policy = {"when_model_down": "unverified", "unverified_after_s": 0.5}
    async with rigged(broker, mortal_server, tmp_path, classifier=policy) as rig:
        await rig.live()
        await asyncio.to_thread(mortal_server.kill)
        await rig.show(RED, RED, track="1")
        await rig.show(GREEN, GREEN, GREEN, track="30")
        await rig.until(lambda: len(rig.alerts()) == 2)
        for alert in rig.alerts():
            assert (alert.event, alert.label, alert.status) == ("new", "unverified", "unverified")
            assert alert.classifier is None
        assert "ON" not in rig.said(topics.STATE)
        await rig.until(lambda: kinds_of_events(rig).count("unverified") == 2)

        await asyncio.to_thread(mortal_server.start)
        await rig.until(lambda: len(rig.alerts()) == 5)
        ends = {a.id: a.reason for a in rig.alerts() if a.event == "end"}
        assert sorted(str(reason) for reason in ends.values()) == ["confirmed", "rejected"]
        [new] = [a for a in rig.alerts() if a.status == "confirmed"]
        assert (new.event, new.label, new.late) == ("new", "small_gun", True)
        assert ends[str(new.supersedes)] == "confirmed"
        await rig.until(lambda: rig.state("small_gun") == "ON")


async def test_crops_that_waited_longer_than_hold_s_are_shed_and_counted(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, mortal_server, tmp_path, classifier={"hold_s": 10}) as rig:
        await rig.started()
        await rig.show(RED, RED)
        await rig.until(lambda: rig.rows("SELECT count(done_ns) FROM inbox") == [(2,)])
        assert "dropped without a verdict: too_old" in rig.log.read_text()
        assert rig.alerts() == []


async def test_more_crops_than_may_wait_are_shed_and_counted(
    broker: Broker, mortal_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, mortal_server, tmp_path, classifier={"max_waiting": 10}) as rig:
        await rig.started()
        await rig.show(*[RED] * 30)
        await rig.until(lambda: "dropped without a verdict: full" in rig.log.read_text())
        await stored(rig, 10)


async def test_a_full_disk_degrades_and_room_on_it_heals(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        await rig.started()
        assert rig.process is not None
        # No file may grow any more: to SQLite that is a disk without room.
        limits = resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE)
        size = max(path.stat().st_size for path in rig.database.parent.iterdir())
        resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
        await rig.show(*[RED] * 40)
        await rig.until(lambda: "database: not ok" in rig.log.read_text())
        resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, limits)
        await rig.until(rig.alerts)
        await rig.until(lambda: "database: ok" in rig.log.read_text().split("not ok")[-1])
        await rig.until(lambda: rig.rows("SELECT count(*) FROM inbox") == [(40,)])
        assert [(a.event, a.sequence) for a in rig.alerts()] == [("new", 0)]


async def test_blind_times_are_told(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        await rig.started()
        await rig.bus.publish(topics.CAMERA_STATUS, "offline", camera="yard")
        await rig.until(lambda: len(rig.rows("SELECT * FROM memory WHERE kind = 'blind'")) == 1)
        await asyncio.sleep(1)
        await rig.bus.publish(topics.CAMERA_STATUS, "online", camera="yard")
        await rig.until(lambda: rig.said(topics.BLIND))
        [blind] = rig.said(topics.BLIND)
        assert (blind.camera, blind.why) == ("yard", "the camera was offline")
        assert (blind.to - blind.from_).total_seconds() >= 0.5

        await rig.bus.publish(topics.STATUS, "offline", service="detector")
        await rig.until(lambda: len(rig.rows("SELECT * FROM memory WHERE kind = 'blind'")) == 2)
        await rig.delivered()
        rig.end(signal.SIGKILL)
        await rig.started()
        await rig.bus.publish(topics.STATUS, "online", service="detector")
        await rig.until(lambda: len(rig.said(topics.BLIND)) == 5)
        whys = Counter((blind.camera, blind.why) for blind in rig.said(topics.BLIND)[1:])
        assert whys == {
            (camera, why): 1
            for camera in ("yard", "door")
            for why in ("the classifier was not running", "the detector was offline")
        }
