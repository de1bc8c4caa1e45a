from classifier_svc.blind import CAMERA, CLASSIFIER, UNJUDGED, Blindness, record
from secondlook.messages import Blind, BlindNow, moment_of

S = 1_000_000_000
T = 1_795_328_000 * S


def spans(told: list[Blind]) -> list[tuple[str, float, str]]:
    return [(b.camera, (b.to - b.from_).total_seconds(), b.why) for b in told]


def test_a_camera_is_blind_from_offline_to_online() -> None:
    blindness = Blindness(["a", "b"])
    assert blindness.camera("a", online=False, at_ns=T) == []
    assert blindness.camera("a", online=False, at_ns=T + S) == []
    [told] = blindness.camera("a", online=True, at_ns=T + 5 * S)
    assert (told.camera, told.from_, told.why) == ("a", moment_of(T), CAMERA)
    assert told.to == moment_of(T + 5 * S)
    assert blindness.camera("a", online=True, at_ns=T + 6 * S) == []


def test_a_service_that_is_away_makes_every_camera_blind() -> None:
    blindness = Blindness(["a", "b"])
    blindness.service("detector", online=False, at_ns=T)
    blindness.service("triton", online=False, at_ns=T + S)
    assert spans(blindness.service("detector", online=True, at_ns=T + 2 * S)) == [
        ("a", 2.0, "the detector was offline"),
        ("b", 2.0, "the detector was offline"),
    ]
    assert len(blindness.service("triton", online=True, at_ns=T + 3 * S)) == 2


def test_other_services_and_cameras_say_nothing() -> None:
    blindness = Blindness(["a"])
    blindness.service("classifier", online=False, at_ns=T)
    blindness.camera("x", online=False, at_ns=T)
    assert blindness.service("classifier", online=True, at_ns=T + 9 * S) == []
    assert blindness.camera("x", online=True, at_ns=T + 9 * S) == []


def test_a_moment_is_not_told() -> None:
    blindness = Blindness(["a"])
    blindness.camera("a", online=False, at_ns=T)
    assert blindness.camera("a", online=True, at_ns=T + S // 2 - 1) == []
    assert record("a", T, T + S // 2, "dark") is not None
    assert record("a", T, T - S, "dark") is None


def test_the_classifier_tells_its_own_absence() -> None:
    assert spans(Blindness(["a"]).classifier_was_away(T, T + 4 * S)) == [("a", 4.0, CLASSIFIER)]


def test_dropped_crops_are_told_as_one_time_when_no_more_are_dropped() -> None:
    blindness = Blindness(["a", "b"])
    for second in (5, 3, 9):
        blindness.unjudged("a", T + second * S, T + (300 + second) * S)
    blindness.unjudged("b", T, T + 309 * S)
    assert blindness.settle(T + 318 * S) == []
    assert spans(blindness.settle(T + 319 * S)) == [("a", 7.0, UNJUDGED), ("b", 1.0, UNJUDGED)]
    assert blindness.settle(T + 400 * S) == []


def test_what_was_blind_before_a_restart_is_still_blind_after_it() -> None:
    before, after = Blindness(["a", "b"]), Blindness(["a"])
    before.service("detector", online=False, at_ns=T)
    rows = {camera: before.take_changes(camera) for camera in ("a", "b")}
    assert before.take_changes("a") == []
    for camera, changes in rows.items():
        for kind, why, value in changes:
            assert kind == "blind"
            assert value is not None
            after.restore(camera, why, value)
    assert spans(after.service("detector", online=True, at_ns=T + 9 * S)) == [
        ("a", 9.0, "the detector was offline")
    ]
    assert after.take_changes("a") == [("blind", "the detector was offline", None)]


def test_whether_a_camera_is_blind_is_news_at_the_start_and_whenever_it_changes() -> None:
    blindness = Blindness(["a", "b"])
    assert blindness.take_news() == [BlindNow(camera=c, blind=False) for c in ("a", "b")]
    assert blindness.take_news() == []

    blindness.camera("a", online=False, at_ns=T)
    assert blindness.take_news() == [
        BlindNow(camera="a", blind=True, since=moment_of(T), why=(CAMERA,))
    ]
    blindness.service("detector", online=False, at_ns=T + S)
    both = (CAMERA, "the detector was offline")
    assert blindness.take_news() == [
        BlindNow(camera="a", blind=True, since=moment_of(T), why=both),
        BlindNow(camera="b", blind=True, since=moment_of(T + S), why=both[1:]),
    ]
    blindness.camera("a", online=True, at_ns=T + 2 * S)
    blindness.service("detector", online=True, at_ns=T + 2 * S)
    assert [(each.camera, each.blind) for each in blindness.take_news()] == [
        ("a", False),
        ("b", False),
    ]


def test_what_an_earlier_process_knew_is_told_at_the_start() -> None:
    blindness = Blindness(["a"])
    blindness.restore("a", CAMERA, str(T).encode())
    assert blindness.take_news() == [
        BlindNow(camera="a", blind=True, since=moment_of(T), why=(CAMERA,))
    ]
