from datetime import UTC

from classifier_svc.alerts import Tally, test_alerts
from classifier_svc.announce import Announcer, messages_of
from classifier_svc.judge import Gap
from classifier_svc.outbox_rows import Outgoing
from classifier_svc.pictures import Pictures
from secondlook import topics
from tests.classifier_svc.scene import START, THERE, Scene, look, ns

LABELS = ["small_gun", "big_gun"]


def said(messages: list[Outgoing]) -> list[str]:
    """Where each message goes, states with their value."""
    names = []
    for message in messages:
        name = message.topic.partition("/")[0]
        names.append(f"{name} {message.payload.decode()}" if name == "state" else name)
    return names


def told(
    scene: Scene, announcer: Announcer | None = None, drawn: Pictures | None = None
) -> list[str]:
    announcer = announcer or Announcer("yard", "home", LABELS)
    pictures = {
        change.episode.snapshot_id: drawn or Pictures(b"jpeg")
        for change in scene.changes
        if change.picture
    }
    return said(messages_of(scene.history, announcer, pictures, START)[1])


UPDATE = ["snapshots", "alerts", "last"]
NEW = [*UPDATE, "newest"]


def test_a_new_episode_is_told_from_its_picture_to_its_event() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    assert told(scene) == [*NEW, "state ON", "events"]


def test_pictures_that_are_wanted_go_before_the_snapshot() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    drawn = Pictures(b"jpeg", crop=b"crop", clean=b"")
    assert told(scene, drawn=drawn) == ["pictures", "pictures", *NEW, "state ON", "events"]


def test_an_end_brings_the_better_picture_that_still_waited() -> None:
    scene = Scene(update_s=60)
    scene.looks((0, "s"), (0.2, "s"))
    scene.look(1, "s", score=1.0)
    scene.watch(0, 8)
    assert told(scene) == [*NEW, "state ON", "events", *UPDATE, "state OFF"]
    assert scene.changes[-1].episode.shown.score == 1.0
    alerts, _ = messages_of(scene.history, Announcer("yard", "home", LABELS), {}, START)
    assert (alerts[-1].event, alerts[-1].score, alerts[-1].duration_s) == ("end", 1.0, 6.0)
    assert alerts[0].duration_s is None


def test_an_update_brings_a_picture_and_an_end_does_not() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    scene.look(3, "s", score=1.0)
    scene.watch(0, 8)
    assert told(scene) == [*NEW, "state ON", "events", *UPDATE, "alerts", "last", "state OFF"]


def test_a_state_changes_with_the_first_and_the_last_episode_of_its_label() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    scene.looks((0, "s"), (0.3, "s"), track="2", where=THERE)
    scene.watch(0, 8)
    lines = told(scene)
    assert [line for line in lines if line.startswith("state")] == ["state ON", "state OFF"]
    assert lines[-1] == "state OFF"


def test_an_escalation_puts_one_label_off_and_the_other_on() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"), (0.4, "b"), (0.6, "b"))
    *_, first_off, snapshot, _, _, _, on, _ = told(scene)
    assert (first_off, snapshot, on) == ("state OFF", "snapshots", "state ON")


def test_an_unverified_episode_has_no_state() -> None:
    scene = Scene()
    scene.silent(look(0, "u", classifier=None), look(1, "u", classifier=None))
    scene.ended(2)
    scene.settle()
    assert told(scene) == [*NEW, "events", "alerts", "last"]


def test_rejections_and_gaps_have_a_line_each() -> None:
    scene = Scene()
    scene.look(0, "r")
    scene.ended(1)
    scene.history.append(Gap(START, START + ns(3), "dark"))
    scene.history.append(Gap(START, START + ns(0.1), "a moment"))
    assert told(scene) == ["events", "blind"]


def test_at_the_start_every_label_has_its_state() -> None:
    scene = Scene()
    scene.looks((0, "b"), (0.2, "b"))
    scene.silent(look(0, "u", track="2", classifier=None), look(1, "u", track="2", classifier=None))
    announcer = Announcer("yard", "home", LABELS)
    states = announcer.begin(scene.judge.memory.episodes.values())
    assert said(states) == ["state OFF", "state ON"]
    assert "big_gun" in states[1].levels
    scene.history.clear()
    scene.watch(0, 9)
    assert told(scene, announcer) == ["alerts", "last", "state OFF"]


def test_only_alerts_are_marked_for_replay() -> None:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    _, messages = messages_of(scene.history, Announcer("yard", "home", LABELS), {}, START)
    assert [m.topic for m in messages if m.alert_id] == [topics.ALERTS.pattern]


def test_a_test_alert_touches_neither_state_nor_last() -> None:
    alerts = test_alerts("yard", "big_gun", root="home", now_ns=START, entropy=bytes(10))
    announcer = Announcer("yard", "home", LABELS)
    assert said(announcer.test(alerts, b"jpeg")) == ["snapshots", "alerts", "alerts"]


def test_counters_are_told() -> None:
    announcer = Announcer("yard", "home", LABELS)
    tally = Tally.begin("yard", START, UTC)
    assert announcer.counters(tally).payload == tally.counters.encode()
