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
    assert tally.add(scene.history, START, looks=5)
    told = tally.counters
    assert (told.alerts, told.rejections, told.unverified, told.looks) == (2, 1, 1, 5)
    assert not tally.add([], START, looks=2)
    assert tally.counters.looks == 7


def test_a_track_rejected_again_is_counted_once() -> None:
    scene = Scene()
    for second in range(130):
        scene.look(second, "r")
    scene.ended(130)
    tally = Tally.begin("yard", START, BERLIN)
    tally.add(scene.history, START)
    assert tally.counters.rejections == 1


def test_the_day_begins_at_local_midnight() -> None:
    midnight = 1_795_302_000_000_000_000  # 2026-11-22T00:00 in Berlin
    tally = Tally.begin("yard", midnight - 1, BERLIN)
    tally.add([], midnight - 1, looks=3)
    assert tally.counters.date == "2026-11-21"
    assert not tally.roll(midnight - 1)
    assert tally.roll(midnight)
    assert (tally.counters.date, tally.counters.looks) == ("2026-11-22", 0)


def test_what_is_decided_right_after_midnight_is_of_the_new_day() -> None:
    midnight = 1_795_302_000_000_000_000
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    tally = Tally.begin("yard", midnight - 1, BERLIN)
    tally.add([], midnight - 1, looks=3)
    assert tally.add(scene.history, midnight + 1, looks=2)
    told = tally.counters
    assert (told.date, told.alerts, told.looks) == ("2026-11-22", 1, 2)
    assert not tally.roll(midnight + 2)


@pytest.mark.parametrize(
    ("midnight_ns", "date"),
    [
        pytest.param(1_774_738_800_000_000_000, "2026-03-29", id="the-day-of-23-hours"),
        pytest.param(1_774_821_600_000_000_000, "2026-03-30", id="the-day-after-it"),
        pytest.param(1_792_879_200_000_000_000, "2026-10-25", id="the-day-of-25-hours"),
        pytest.param(1_792_969_200_000_000_000, "2026-10-26", id="the-day-after-that"),
    ],
)
def test_days_that_are_not_24_hours_long_begin_at_midnight_too(midnight_ns: int, date: str) -> None:
    tally = Tally.begin("yard", midnight_ns - 1, BERLIN)
    assert tally.counters.date < date
    assert tally.roll(midnight_ns)
    assert tally.counters.date == date
