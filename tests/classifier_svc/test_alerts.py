from zoneinfo import ZoneInfo

import pytest

from classifier_svc.alerts import Tally, alert_of, event_of, milliseconds, test_alerts, verdict_of
from classifier_svc.judge import Gap
from classifier_svc.verdict import Judgement
from secondlook.messages import Alert
from tests.classifier_svc.scene import START, THERE, Scene, look, ns

BERLIN = ZoneInfo("Europe/Berlin")


def alerts_of(scene: Scene, now: float = 20.0) -> list[Alert]:
    return [
        alert_of(change, camera="yard", root="home", now_ns=START + ns(now))
        for change in scene.changes
    ]


def whole_life() -> Scene:
    scene = Scene()
    scene.look(0.2, "s", score=0.85)
    scene.look(0.4, "s", score=0.9)
    scene.look(3, "s", score=1.0)
    scene.watch(0, 8)
    return scene


def test_an_alert_tells_everything_the_contract_asks() -> None:
    new, update, end = alerts_of(whole_life())
    assert (new.event, new.sequence, new.status, new.reason) == ("new", 0, "confirmed", None)
    assert new.started_at.isoformat() == "2026-11-22T06:13:20.200000+00:00"
    assert new.frame.captured_at.isoformat() == "2026-11-22T06:13:20.400000+00:00"
    assert new.frame.id == f"yard-{START + ns(0.4)}"
    assert new.decision.rule == "2 of 3 looks within 2.0 s"
    assert new.snapshot_topic == "home/snapshots/yard"
    assert (update.event, update.sequence, update.score) == ("update", 1, 1.0)
    assert update.snapshot_id != new.snapshot_id
    assert (end.event, end.sequence, end.reason) == ("end", 2, "gone")
    assert end.snapshot_id == update.snapshot_id
    assert end.ended_at is not None
    assert new.ended_at is None
    assert {a.id for a in (new, update, end)} == {new.id}


def test_latency_counts_from_the_capture_of_the_frame_shown() -> None:
    scene = whole_life()
    new, *_ = alerts_of(scene, now=0.7)
    assert new.latency_ms.decided == pytest.approx(300)
    assert new.latency_ms.received == 42
    *_, end = alerts_of(scene, now=20)
    assert end.latency_ms.decided == 61


def test_clocks_that_disagree_give_no_negative_latency() -> None:
    assert milliseconds(START, START - 5) == 0
    new, *_ = alerts_of(whole_life(), now=-100)
    assert new.latency_ms.decided == 61


def test_an_unverified_alert_has_no_classifier() -> None:
    scene = Scene()
    scene.silent(look(0, "u", classifier=None), look(1, "u", classifier=None))
    [alert] = alerts_of(scene)
    assert (alert.status, alert.label, alert.classifier) == ("unverified", "unverified", None)


def test_a_verdict_names_the_episode_and_the_rule() -> None:
    judged = Judgement("confirmed", "Small Gun", 0.9, "because")
    verdict = verdict_of(look(0, "s"), judged, None)
    assert (verdict.outcome, verdict.label, verdict.reason) == ("confirmed", "Small Gun", "because")
    with pytest.raises(ValueError, match="has not been judged"):
        verdict_of(look(0, "s", classifier=None), judged, None)


def test_there_is_one_event_per_episode() -> None:
    scene = whole_life()
    scene.looks((9, "s"), (9.2, "s"))
    assert [change.event for change in scene.changes] == ["new", "update", "end", "update"]
    events = [event_of(effect, camera="yard", now_ns=START) for effect in scene.history]
    assert [event.event_type for event in events if event] == ["alert"]


def test_a_rejected_track_and_an_unverified_episode_have_events_and_a_gap_has_none() -> None:
    scene = Scene()
    scene.look(0, "r", track="2")
    scene.ended(1, "2")
    scene.silent(look(0, "u", classifier=None), look(1, "u", classifier=None))
    events = [event_of(effect, camera="yard", now_ns=START) for effect in scene.history]
    assert [(e.event_type, e.label) for e in events if e] == [
        ("rejected", "phone"),
        ("unverified", "unverified"),
    ]
    assert events[0] is not None
    assert events[0].id == "yard-2"
    assert event_of(Gap(0, 1, "dark"), camera="yard", now_ns=START) is None


def test_a_test_alert_is_marked_and_ends_at_once() -> None:
    new, end = test_alerts("yard", "big_gun", root="home", now_ns=START, entropy=bytes(10))
    assert (new.test, new.event, new.sequence, new.label) == (True, "new", 0, "big_gun")
    assert (end.test, end.event, end.sequence, end.id) == (True, "end", 1, new.id)
    assert Alert.decode(end.encode()) == end


def test_the_day_is_counted() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    scene.looks((0, "b"), (0.2, "b"), track="2", where=THERE)
    scene.look(0, "r", track="3")
    scene.ended(1, "3")
    scene.silent(look(0, "u", track="4", classifier=None), look(1, "u", track="4", classifier=None))
    tally = Tally.begin("yard", START, BERLIN)
    assert tally.add(scene.history, looks=5)
    told = tally.counters
    assert (told.alerts, told.rejections, told.unverified, told.looks) == (2, 1, 1, 5)
    assert not tally.add([], looks=2)
    assert tally.counters.looks == 7


def test_a_track_rejected_again_is_counted_once() -> None:
    scene = Scene()
    for second in range(130):
        scene.look(second, "r")
    scene.ended(130)
    tally = Tally.begin("yard", START, BERLIN)
    tally.add(scene.history)
    assert tally.counters.rejections == 1


def test_the_day_begins_at_local_midnight() -> None:
    midnight = 1_795_302_000_000_000_000  # 2026-11-22T00:00 in Berlin
    tally = Tally.begin("yard", midnight - 1, BERLIN)
    tally.add([], looks=3)
    assert tally.counters.date == "2026-11-21"
    assert not tally.roll(midnight - 1, BERLIN)
    assert tally.roll(midnight, BERLIN)
    assert (tally.counters.date, tally.counters.looks) == ("2026-11-22", 0)
