"""What the doctor says of each state of a system: a finding, its verdict, and what to do."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook import samples, topics
from secondlook.commands.diagnosis import SERVICES, Facts, diagnose
from secondlook.config import Camera
from secondlook.messages import Blind, Stats

(VERDICT,) = samples.SAMPLES[topics.VERDICTS.pattern]
(LETTER,) = samples.SAMPLES[topics.DEAD_LETTERS.pattern]
CAMERAS = {"front_door": Camera.model_validate({"source": "synthetic:", "fps": 5})}
LOST = "detector_frames_dropped_total{camera=front_door,cause=overwritten}"
SENT = "frames_sent_total{camera=front_door}"


def stats(
    facts: Facts, service: str, growth: Mapping[str, float] | None = None, version: str = "1"
) -> None:
    """Let a service say its numbers twice, ten seconds apart; what grows, per second."""
    for seconds in (0, 10):
        counters = {name: value * seconds for name, value in (growth or {}).items()}
        counters["bus_connected"] = 1.0
        at = samples.CAPTURED + timedelta(seconds=seconds)
        said = Stats(service=service, version=version, at=at, counters=counters)
        facts.counted.take(said)


def healthy(**changes: Any) -> Facts:
    facts = Facts("127.0.0.1:1883", "secondlook", connected=True, patience_s=21)
    facts.services = dict.fromkeys(SERVICES, "online")
    facts.cameras = {"front_door": "online"}
    facts.armed = {"front_door": True}
    facts.verdicts = [VERDICT]
    stats(facts, "producers", {SENT: 5.0})
    stats(facts, "detector")
    stats(facts, "classifier")
    for name, value in changes.items():
        setattr(facts, name, value)
    return facts


def said(facts: Facts, configured: Any = CAMERAS) -> list[str]:
    """Everything but what is well."""
    found = list(diagnose(facts, configured))
    assert all(finding.advice for finding in found if finding.verdict == "wrong")
    return [f"{each.verdict}: {each.what}" for each in found if each.verdict != "ok"]


def test_a_healthy_system_is_well_and_says_how_it_works() -> None:
    found = list(diagnose(healthy(), CAMERAS))
    assert {finding.verdict for finding in found} == {"ok"}
    assert found[1].what == "online: producers, detector, triton, classifier (version 1)"
    assert found[2].what == (
        "camera front_door: online, 5.0 frames/s, looks decided 64 ms after capture"
    )


def test_a_broker_that_does_not_answer_is_all_there_is_to_say() -> None:
    assert said(healthy(connected=False)) == ["wrong: no broker answers at 127.0.0.1:1883"]
    why = "no broker at x:1: Connection refused; trying again until it answers"
    told = said(healthy(connected=False, why=why))
    assert told == ["wrong: no broker at x:1: Connection refused"]


def test_a_broker_without_our_messages_is_named_with_its_root() -> None:
    assert said(healthy(services={})) == ["wrong: nothing of Second Look is below secondlook/"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_offline_is_wrong(service: str) -> None:
    facts = healthy()
    facts.services[service] = "offline"
    if service == "producers":
        facts.cameras["front_door"] = "offline"
    [line] = said(facts)
    assert "offline" in line or "Triton does not answer" in line


def test_a_service_that_says_no_number_may_hang() -> None:
    facts = healthy()
    facts.counted._newest.pop("detector")
    assert said(facts) == ["wrong: detector is online, but has said no number for 21 s"]
    facts.patience_s = 3
    assert said(facts) == [], "not heard for long enough"


def test_different_versions_are_told() -> None:
    facts = healthy()
    stats(facts, "detector", version="2")
    assert said(facts) == ["wrong: the services are of versions 1, 2"]


def test_a_condition_that_does_not_hold_is_told_with_its_service() -> None:
    facts = healthy()
    stats(facts, "classifier", {"condition_ok{condition=triton}": 0.0})
    assert said(facts) == ["wrong: classifier does not reach its model"]


@pytest.mark.parametrize(
    ("cameras", "line"),
    [
        ({}, "wrong: camera front_door has never been online"),
        ({"front_door": "offline"}, "wrong: camera front_door is offline: it is not watched"),
        (
            {"front_door": "online", "yard": "online"},
            "note: camera yard is watched, but not configured here",
        ),
    ],
)
def test_cameras_are_compared_with_the_configuration(cameras: dict[str, str], line: str) -> None:
    assert said(healthy(cameras=cameras)) == [line]


def test_without_a_configuration_the_cameras_that_are_said_count() -> None:
    assert said(healthy(cameras={"yard": "offline"}), {}) == [
        "wrong: camera yard is offline: it is not watched"
    ]


def test_a_slow_camera_is_worth_knowing_unless_a_motion_gate_makes_it_slow() -> None:
    facts = healthy()
    stats(facts, "producers", {SENT: 3.0})
    assert said(facts) == ["note: camera front_door gives 3.0 of 5 frames/s"]
    gated = Camera.model_validate({"source": "synthetic:", "motion": {"enabled": True}})
    assert said(facts, {"front_door": gated}) == []


@pytest.mark.parametrize(("lost", "told"), [(0.05, False), (2.0, True)])
def test_a_loss_is_told_with_its_cause_and_what_to_do(lost: float, told: bool) -> None:
    facts = healthy()
    stats(facts, "detector", {LOST: lost})
    expected = ["wrong: camera front_door loses 2.0 frames/s (overwritten)"] if told else []
    assert said(facts) == expected
    if told:
        [advice] = [each.advice for each in diagnose(facts, CAMERAS) if each.verdict == "wrong"]
        assert "cameras.front_door.fps" in advice


def test_a_disarmed_camera_and_an_open_episode_are_worth_knowing() -> None:
    facts = healthy(armed={"front_door": False}, open={("front_door", "big_gun"), ("x", "y")})
    assert said(facts) == [
        "note: camera front_door is disarmed: watched, but it raises no alert",
        "note: camera front_door: an episode of big_gun is open right now",
    ]


@pytest.mark.parametrize(
    ("growth", "line"),
    [
        ({"classifier_crops_waiting": 6}, "wrong: 60 crops wait for a verdict"),
        ({"classifier_crops_shed_total": 1}, "wrong: crops are dropped without a verdict"),
        ({"classifier_outbox_refused": 1}, "wrong: the broker refuses alerts"),
        (
            {"classifier_outbox_age_seconds": 6, "classifier_outbox_waiting": 1},
            "wrong: 10 messages wait for the broker",
        ),
    ],
)
def test_work_that_is_not_done_is_wrong(growth: dict[str, float], line: str) -> None:
    facts = healthy()
    stats(facts, "classifier", growth)
    assert said(facts) == [line]


def test_blind_times_of_a_camera_are_summed_by_their_reason() -> None:
    begin = samples.CAPTURED
    facts = healthy()
    facts.blind = [
        Blind(camera="front_door", from_=begin, to=begin + timedelta(seconds=2), why="dark")
    ] * 3
    assert said(facts) == ["note: camera front_door was blind for 6 s: dark"]


def test_what_could_not_be_read_is_wrong() -> None:
    [line] = said(healthy(letters=[LETTER, LETTER]))
    assert line.startswith("wrong: 2 messages could not be read, on secondlook/crops/front_door")


def test_nothing_more_is_to_come_once_all_have_said_their_numbers_twice() -> None:
    facts = healthy()
    assert facts.complete
    facts.counted._before.pop("detector")
    assert not facts.complete
    facts.services["detector"] = "offline"
    assert facts.complete, "it will say nothing"
    assert not Facts("x", "y").complete


NAMES = st.sampled_from(["front_door", "yard"])
ONLINE = st.sampled_from(["online", "offline"])
NUMBERS = st.dictionaries(
    st.sampled_from([SENT, LOST, "classifier_crops_waiting", "classifier_outbox_age_seconds"])
    | st.sampled_from(["condition_ok{condition=x}", "classifier_outbox_refused", "rubbish{a"]),
    st.floats(0, 1e4),
)


@given(
    connected=st.booleans(),
    services=st.dictionaries(st.sampled_from([*SERVICES, "other"]), ONLINE),
    cameras=st.dictionaries(NAMES, ONLINE),
    armed=st.dictionaries(NAMES, st.booleans()),
    said=st.lists(st.tuples(st.sampled_from(SERVICES), NUMBERS), max_size=4),
)
def test_whatever_is_heard_is_put_into_sentences_that_say_what_to_do(
    connected: bool,
    services: dict[str, str],
    cameras: dict[str, str],
    armed: dict[str, bool],
    said: list[tuple[str, dict[str, float]]],
) -> None:
    facts = Facts("x:1", "root", connected=connected, services=services, cameras=cameras)
    facts.armed = armed
    for service, growth in said:
        stats(facts, service, growth)
    found = list(diagnose(facts, CAMERAS if armed else {}))
    assert found
    assert all(finding.what for finding in found)
    assert all(finding.advice for finding in found if finding.verdict == "wrong")
    healthy_ = connected and all(services.get(name) == "online" for name in SERVICES)
    assert healthy_ or any(finding.verdict == "wrong" for finding in found)
