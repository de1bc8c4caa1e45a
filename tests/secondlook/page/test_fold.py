"""What the page shows after which messages."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.messages import Forgotten
from secondlook.page.entries import Part
from secondlook.page.fold import MOST, Fold
from secondlook.samples import STARTED
from tests.secondlook.page.said import (
    CAMERA,
    NOW_S,
    TODAY,
    alert,
    blind,
    counters,
    frame,
    picture,
    stats,
    verdict,
    watching,
)


def shown(fold: Fold, part: Part, name: str = CAMERA) -> Any:
    return fold.entries.get(part, name)


def names(fold: Fold, part: Part) -> list[str]:
    return [name for where, name in fold.entries.keys() if where == part]  # noqa: SIM118 - no mapping


def summary(fold: Fold) -> list[str]:
    return [line["text"] for line in shown(fold, "about", "summary")]


# Is it watching?


def test_a_camera_is_watched_once_everything_has_said_so() -> None:
    fold = watching()

    assert shown(fold, "cameras")["unwatched"] is None
    assert summary(fold) == ["Watching front_door"]


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("producers", "the producers are offline"),
        ("detector", "the detector is offline"),
        ("triton", "Triton is offline"),
        ("classifier", "the classifier is offline"),
    ],
)
def test_a_camera_is_not_watched_while_a_service_is_offline(service: str, why: str) -> None:
    fold = watching()
    fold.service_status(service, online=False)

    assert shown(fold, "cameras")["unwatched"] == why
    assert shown(fold, "services", service)["online"] is False
    assert summary(fold) == [f"Not watching front_door: {why}"]


def test_a_camera_that_is_offline_is_not_watched() -> None:
    fold = watching("yard", "door")
    fold.camera_status("door", online=False)

    assert shown(fold, "cameras", "yard")["unwatched"] is None
    assert shown(fold, "cameras", "door")["unwatched"] == "the camera is offline"


def test_nothing_is_claimed_before_it_was_heard() -> None:
    fold = Fold([CAMERA], {}, NOW_S)
    fold.broker(connected=True, now_s=NOW_S)

    assert shown(fold, "cameras")["unwatched"] == "the producers are not heard yet"


def test_without_a_broker_nobody_knows() -> None:
    fold = watching()
    fold.broker(connected=False, now_s=NOW_S + 5)

    assert shown(fold, "broker", "broker") == {"connected": False, "since": NOW_S + 5}
    assert shown(fold, "cameras")["unwatched"] == "the broker is away"
    assert "No broker" in summary(fold)[0]


def test_a_time_without_a_broker_is_told_like_a_blind_time() -> None:
    fold = watching()
    fold.broker(connected=False, now_s=NOW_S + 5)
    fold.broker(connected=False, now_s=NOW_S + 6)
    fold.broker(connected=True, now_s=NOW_S + 9)

    [name] = names(fold, "blind")
    gap = shown(fold, "blind", name)
    assert (gap["camera"], gap["from"], gap["to"]) == (None, NOW_S + 5, NOW_S + 9)
    assert shown(fold, "cameras")["unwatched"] is None


def test_the_first_wait_for_a_broker_is_no_blind_time() -> None:
    fold = Fold([CAMERA], {}, NOW_S)
    fold.broker(connected=True, now_s=NOW_S + 9)

    assert names(fold, "blind") == []


def test_what_is_said_of_unknown_cameras_and_services_is_ignored() -> None:
    fold = watching()
    before = fold.entries.keys()
    ref = frame(0, camera="stranger")
    fold.alert(alert(camera="stranger"))
    fold.verdict(verdict(ref))
    fold.frame(ref, 0.0)
    fold.state("stranger", "small_gun", on=True)
    fold.camera_status("stranger", online=True)
    fold.counters(counters(camera="stranger"))
    fold.blind(blind(camera="stranger"))
    fold.snapshot("stranger", picture("stranger-1.0"))
    fold.setting("stranger", "armed", value=False)
    fold.service_status("stranger", online=True)
    fold.stats("stranger", stats("stranger", 0))

    assert fold.entries.keys() == before
    assert "stranger-1.0" not in fold.album


# Cameras


def test_a_camera_shows_its_open_labels_and_that_it_is_disarmed() -> None:
    fold = watching()
    fold.state(CAMERA, "small_gun", on=True)
    fold.state(CAMERA, "big_gun", on=True)
    fold.setting(CAMERA, "armed", value=False)

    assert shown(fold, "cameras")["on"] == ["big_gun", "small_gun"]
    assert shown(fold, "cameras")["armed"] is False
    assert summary(fold) == ["Alert: big_gun, small_gun at front_door"]

    fold.state(CAMERA, "small_gun", on=False)
    assert shown(fold, "cameras")["on"] == ["big_gun"]


def test_a_camera_shows_its_rate_and_what_it_counted_today() -> None:
    fold = watching()
    for number in range(25):
        fold.frame(frame(number), number / 5)
    fold.counters(counters(alerts=3))
    fold.tick(4.9, TODAY)

    assert shown(fold, "cameras")["rate"] == 5.0
    assert shown(fold, "cameras")["today"]["alerts"] == 3


def test_yesterdays_counters_are_not_todays() -> None:
    fold = watching()
    fold.counters(counters())
    fold.tick(1.0, "2026-11-23")

    assert shown(fold, "cameras")["today"] is None


# Alerts


def test_an_alert_shows_both_scores_the_rule_and_its_votes() -> None:
    fold = watching()
    said = alert()
    fold.alert(said)

    view = shown(fold, "alerts", said.id)
    assert view["scores"][0] == ["small_gun", 0.97]
    assert view["detector"] == {"model": "yolov5", "label": "suspect", "score": 0.62}
    assert (view["rule"], view["votes"]) == ("2 of 3 looks within 2.0 s", [2, 0, 1])
    assert view["open"] is True
    assert view["box"] == [0.4229, 0.3185, 0.1031, 0.2]


def test_an_alert_that_comes_again_or_late_changes_nothing() -> None:
    fold = watching()
    end = alert(event="end", sequence=2, ended_at=STARTED, reason="gone")
    fold.alert(end)
    fold.alert(alert(event="update", sequence=1, score=0.5))
    fold.alert(end)

    assert shown(fold, "alerts", end.id)["reason"] == "gone"
    assert shown(fold, "alerts", end.id)["open"] is False


def test_an_alert_whose_end_was_missed_is_not_open_for_ever() -> None:
    fold = watching()
    fold.alert(alert())
    fold.state(CAMERA, "small_gun", on=False)
    assert shown(fold, "alerts", alert().id)["open"] is False

    fold.state(CAMERA, "small_gun", on=True)
    assert shown(fold, "alerts", alert().id)["open"] is True


@pytest.mark.parametrize("kind", [{"test": True}, {"status": "unverified", "label": "unverified"}])
def test_alerts_without_a_state_end_by_their_message_alone(kind: dict[str, Any]) -> None:
    fold = watching()
    said = alert(**kind)
    fold.alert(said)
    fold.state(CAMERA, said.label, on=False)

    assert shown(fold, "alerts", said.id)["open"] is True


def test_an_unverified_alert_has_no_scores_of_the_classifier() -> None:
    fold = watching()
    fold.alert(alert(status="unverified", label="unverified", classifier=None))

    view = shown(fold, "alerts", alert().id)
    assert (view["classifier"], view["scores"]) == (None, [])


@pytest.mark.parametrize("picture_first", [True, False])
def test_an_alert_finds_its_picture_whichever_comes_first(picture_first: bool) -> None:
    fold = watching()
    said = alert()
    steps = [lambda: fold.snapshot(CAMERA, picture(said.snapshot_id)), lambda: fold.alert(said)]
    for step in steps if picture_first else reversed(steps):
        step()

    assert shown(fold, "alerts", said.id)["picture"] == said.snapshot_id
    assert shown(fold, "cameras")["picture"] == said.snapshot_id


def test_a_better_picture_replaces_the_first_one() -> None:
    fold = watching()
    for number in (0, 1):
        said = alert(sequence=number, event="update", snapshot_id=f"picture.{number}")
        fold.snapshot(CAMERA, picture(said.snapshot_id))
        fold.alert(said)

    assert shown(fold, "alerts", alert().id)["picture"] == "picture.1"
    assert "picture.0" not in fold.album


def test_only_the_newest_alerts_are_kept_and_pictures_go_with_the_others() -> None:
    fold = watching()
    most = MOST["alerts"]
    for number in range(most + 10):
        fold.snapshot(CAMERA, picture(alert(number).snapshot_id))
        fold.alert(alert(number))

    assert len(names(fold, "alerts")) == most
    assert not fold.knows(alert(9).id)
    assert fold.knows(alert(10).id)
    assert alert(9).snapshot_id not in fold.album
    assert alert(10).snapshot_id in fold.album


def test_feedback_shows_with_its_alert() -> None:
    fold = watching()
    fold.alert(alert())
    fold.told(alert().id, "false_alarm")
    fold.told("front_door-00000000000000000000009999", "true_alarm")
    assert shown(fold, "alerts", alert().id)["truth"] == "false_alarm"

    fold.alert(alert(sequence=1, event="end"))
    assert shown(fold, "alerts", alert().id)["truth"] == "false_alarm"


# Deleting


def forgotten(**changes: Any) -> Any:
    said = Forgotten(forgotten=1, at=STARTED + timedelta(seconds=60), request="")
    return said.model_copy(update=changes).model_dump(mode="json")


def three_alerts() -> Fold:
    fold = watching(CAMERA, "yard")
    for said in (alert(1), alert(2), alert(3, camera="yard")):
        fold.snapshot(said.camera, picture(said.snapshot_id))
        fold.alert(said)
    return fold


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({}, [alert(3, camera="yard").id]),
        ({"id": alert(2).id}, [alert(1).id, alert(3, camera="yard").id]),
        ({"before": alert(2).started_at}, [alert(2).id, alert(3, camera="yard").id]),
        ({"at": STARTED}, [alert(1).id, alert(2).id, alert(3, camera="yard").id]),
    ],
    ids=["all", "one", "those-before", "before-there-were-any"],
)
def test_alerts_that_were_deleted_are_gone_with_their_pictures(
    what: dict[str, Any], left: list[str]
) -> None:
    fold = three_alerts()
    fold.setting(CAMERA, "forget", forgotten(**what))

    assert sorted(names(fold, "alerts")) == sorted(left)
    for said in (alert(1), alert(2)):
        assert (said.snapshot_id in fold.album) is (said.id in left)


def test_a_picture_that_the_broker_forgets_is_gone() -> None:
    fold = three_alerts()
    fold.snapshot(CAMERA, b"")

    assert shown(fold, "cameras")["picture"] is None
    assert shown(fold, "alerts", alert(2).id)["picture"] is None
    assert shown(fold, "alerts", alert(1).id)["picture"] is not None


@pytest.mark.parametrize("value", [None, 5, "x", [], {"forgotten": "many"}])
def test_an_answer_that_cannot_be_read_deletes_nothing(value: Any) -> None:
    fold = three_alerts()
    fold.setting(CAMERA, "forget", value)
    fold.setting(CAMERA, "armed", value)

    assert len(names(fold, "alerts")) == 3
    assert shown(fold, "cameras")["armed"] is True


# Looks, blind times, services


def test_a_look_shows_why_and_where() -> None:
    fold = watching()
    ref = frame(3)
    fold.frame(ref, 0.0)
    fold.verdict(verdict(ref))

    [name] = names(fold, "looks")
    view = shown(fold, "looks", name)
    assert (view["outcome"], view["reason"]) == ("confirmed", "small_gun 0.97 >= 0.80")
    assert view["frame"] == ref.id
    assert fold.frames()[CAMERA].candidates()[0] == ref


def test_looks_and_blind_times_are_bounded() -> None:
    fold = watching()
    for number in range(500):
        fold.verdict(verdict(frame(number), number))
        fold.blind(blind(to=STARTED + timedelta(seconds=number)))

    assert len(names(fold, "looks")) == MOST["looks"]
    assert len(names(fold, "blind")) == MOST["blind"]


def test_a_blind_time_that_comes_again_is_shown_once() -> None:
    fold = watching()
    fold.blind(blind())
    fold.blind(blind())

    [name] = names(fold, "blind")
    assert shown(fold, "blind", name)["why"] == "the camera was offline"


def test_a_service_shows_its_version_and_its_numbers() -> None:
    fold = watching()
    for at_s in (0, 10):
        fold.stats("detector", stats("detector", at_s, detector_frames_total=at_s * 4.0))
    fold.stats("classifier", stats("detector", 0, detector_frames_total=1.0))

    assert shown(fold, "services", "detector")["work"] == "4.0 frames/s"
    assert shown(fold, "services", "detector")["version"] == "1.2"
    assert shown(fold, "services", "classifier")["version"] is None


@given(st.data())
def test_no_order_of_messages_stops_the_page(data: st.DataObject) -> None:
    fold = watching()
    steps = [
        lambda: fold.broker(connected=data.draw(st.booleans()), now_s=data.draw(st.floats(0, 1e9))),
        lambda: fold.alert(
            alert(
                data.draw(st.integers(0, 300)),
                sequence=data.draw(st.integers(0, 3)),
                event=data.draw(st.sampled_from(["new", "update", "end"])),
            )
        ),
        lambda: fold.snapshot(CAMERA, data.draw(st.sampled_from([b"", picture("a.0"), b"\xff"]))),
        lambda: fold.state(CAMERA, "small_gun", on=data.draw(st.booleans())),
        lambda: fold.setting(CAMERA, "forget", forgotten()),
        lambda: fold.verdict(verdict(frame(data.draw(st.integers(0, 9))))),
        lambda: fold.told(alert(data.draw(st.integers(0, 300))).id, "true_alarm"),
        lambda: fold.tick(data.draw(st.floats(0, 1e6)), TODAY),
    ]
    for _ in range(data.draw(st.integers(0, 30))):
        data.draw(st.sampled_from(steps))()

    for name in names(fold, "alerts"):
        assert fold.knows(name)
