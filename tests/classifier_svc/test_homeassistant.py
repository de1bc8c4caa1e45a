"""The discovery payloads for every configuration, and what their templates make of messages."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.homeassistant import devices
from classifier_svc.homeassistant_device import words
from classifier_svc.homeassistant_entities import EVENT_TYPES
from secondlook import topics
from secondlook.config import Config
from secondlook.messages import Counters, Event
from secondlook.samples import ALERT, SAMPLES
from tests.classifier_svc.discovery_rules import mistakes

SLUGS = st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True)
LEVELS = st.from_regex(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,2}", fullmatch=True)
GONE = b""
"""What comes when a retained message is deleted."""


@st.composite
def configs(draw: Callable[..., Any]) -> Config:
    """Make configurations that are valid."""
    labels = draw(st.lists(SLUGS, min_size=1, max_size=4, unique=True))
    scores = draw(
        st.one_of(st.just(0.8), st.fixed_dictionaries(dict.fromkeys(labels, st.just(0.7))))
    )
    return Config.model_validate(
        {
            "cameras": {
                name: {"source": "synthetic:"}
                for name in draw(st.lists(SLUGS, min_size=1, max_size=4, unique=True))
            },
            "mqtt": {"root": draw(LEVELS)},
            "homeassistant": {"prefix": draw(LEVELS)},
            "alerts": {"labels": labels, "confirm_score": scores},
            "snapshots": {"crop": draw(st.booleans()), "clean": draw(st.booleans())},
            "classifier": {"when_model_down": draw(st.sampled_from(["hold", "unverified"]))},
        }
    )


def config(**sections: Any) -> Config:
    cameras = {"front_door": {"source": "synthetic:"}, "yard": {"source": "synthetic:"}}
    return Config.model_validate({"cameras": cameras} | sections)


def camera(**sections: Any) -> dict[str, Any]:
    return components_of("secondlook-front_door", **sections)


def components_of(device: str, **sections: Any) -> dict[str, Any]:
    """Return the components of a device, entities by the end of their id."""
    found = devices(config(**sections), "1")[device]["components"]
    return {
        each.get("unique_id", key).removeprefix(f"{device}-"): each for key, each in found.items()
    }


def rendered(template: str, payload: bytes, state: str = "unknown", kind: str = "") -> str:
    """Render a template as Home Assistant does it, as far as ours need."""
    env = jinja2.Environment(autoescape=False)  # noqa: S701 - values for machines
    env.filters["to_json"] = lambda value: json.dumps(value, separators=(",", ":"))
    env.tests["match"] = lambda value, start: value.startswith(start)
    env.globals.update(now=time.time, as_timestamp=timestamp)
    this = SimpleNamespace(state=state, attributes=SimpleNamespace(event_type=kind))
    given = {"value": payload.decode(), "this": this}
    if payload:
        given["value_json"] = json.loads(payload)
    return env.from_string(template).render(given)


def timestamp(value: Any, default: Any = None) -> Any:
    try:
        return (
            float(value) if isinstance(value, float) else datetime.fromisoformat(value).timestamp()
        )
    except ValueError:
        return default


@settings(deadline=None, max_examples=60)
@given(configs())
def test_every_configuration_gives_payloads_that_home_assistant_takes(config: Config) -> None:
    root, prefix = config.mqtt.root, config.homeassistant.prefix
    found = devices(config, "1.2.3")

    assert [m for d, p in found.items() for m in mistakes(d, p, root, prefix)] == []
    ids = [c["unique_id"] for p in found.values() for c in p["components"].values() if "name" in c]
    assert len(ids) == len(set(ids))
    # Only so is a component never of another kind than before.
    keys = [(key, c["platform"]) for p in found.values() for key, c in p["components"].items()]
    assert all(key.startswith(f"{platform}-") for key, platform in keys)
    assert len(found) == len(config.cameras) + 1
    assert max(len(json.dumps(payload)) for payload in found.values()) < 200_000


@given(SLUGS)
def test_a_slug_is_written_as_people_do_and_never_empty(slug: str) -> None:
    assert words(slug)
    assert "_" not in words(slug) or not slug.strip("_")


def test_switched_off_nothing_is_announced() -> None:
    assert devices(config(homeassistant={"enabled": False}), "1") == {}


def test_a_camera_hangs_on_the_system() -> None:
    found = devices(config(), "1")

    assert list(found) == ["secondlook", "secondlook-front_door", "secondlook-yard"]
    assert found["secondlook-yard"]["device"]["via_device"] == "secondlook"
    assert found["secondlook-yard"]["device"]["identifiers"] == ["secondlook-yard"]


def test_an_alert_sensor_is_available_only_while_the_whole_chain_works() -> None:
    waits = [each["topic"] for each in camera()["alert-small_gun"]["availability"]]

    services = ("producers", "detector", "classifier", "triton")
    assert set(waits) == {
        "secondlook/cameras/front_door/status",
        *(f"secondlook/status/{service}" for service in services),
    }


@pytest.mark.parametrize("key", ["events", "picture", "last_label", "last_score", "last_time"])
def test_what_tells_of_the_past_never_becomes_unavailable_by_itself(key: str) -> None:
    assert "availability" not in camera()[key]


def test_pictures_that_are_published_on_request_can_be_seen() -> None:
    assert "crop" not in camera()
    assert camera(snapshots={"crop": True})["crop"]["image_topic"] == (
        "secondlook/pictures/front_door/crop"
    )


def test_every_label_has_a_sensor_and_a_trigger() -> None:
    components = camera(alerts={"labels": ["knife", "person"]})

    assert {key for key in components if key.endswith(("knife", "person"))} == {
        *("alert-knife", "device_automation-confirmed-knife"),
        *("alert-person", "device_automation-confirmed-person"),
    }
    assert components["alert-knife"]["default_entity_id"] == (
        "binary_sensor.secondlook_front_door_knife"
    )


def test_unverified_alerts_have_a_trigger_where_they_can_happen() -> None:
    key = "device_automation-unverified-alert"

    assert key not in camera()
    assert key in camera(classifier={"when_model_down": "unverified"})


def test_a_trigger_fires_for_new_alerts_alone_and_for_no_test() -> None:
    trigger = camera()["device_automation-confirmed-small_gun"]

    def fires(**changes: Any) -> bool:
        payload = ALERT.model_copy(update=changes).encode()
        return rendered(trigger["value_template"], payload) == str(trigger["payload"])

    assert fires()
    assert not fires(event="update", sequence=1)
    assert not fires(event="end", sequence=2)
    assert not fires(test=True)


def test_the_attributes_of_a_sensor_are_what_people_ask_of_an_alert() -> None:
    template = camera()["alert-small_gun"]["json_attributes_template"]

    told = json.loads(rendered(template, ALERT.encode()))

    assert told["id"] == ALERT.id
    assert told["snapshot_id"] == ALERT.snapshot_id
    assert "detector" not in told
    assert json.loads(rendered(template, GONE)) == {}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("last_label", "small_gun"),
        ("last_score", "0.97"),
        ("last_time", "2026-11-22T06:13:19.923Z"),
        ("alarm_delay", "0.26"),
    ],
)
def test_the_newest_alert_becomes_states_and_a_deleted_one_unknown(key: str, expected: str) -> None:
    template = camera()[key]["value_template"]

    assert rendered(template, ALERT.encode()) == expected
    assert rendered(template, GONE) == "None"


def test_a_score_for_all_labels_is_shown_and_one_for_each_is_not() -> None:
    template = camera()["confirm_score"]["value_template"]

    assert rendered(template, b"0.85") == "0.85"
    assert rendered(template, b'{"small_gun": 0.9, "big_gun": 0.8}') == "None"


def test_the_counters_become_states() -> None:
    counters = Counters(camera="front_door", date="2026-11-22", alerts=3, rejections=14)

    assert rendered(camera()["alerts_today"]["value_template"], counters.encode()) == "3"
    assert rendered(camera()["rejections_today"]["value_template"], counters.encode()) == "14"


def event(kind: str) -> bytes:
    return Event(event_type=kind, camera="yard", at=datetime.now(UTC)).encode()


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_first_event_of_any_kind_is_taken(kind: str) -> None:
    payload = event(kind)

    assert rendered(camera()["events"]["value_template"], payload) == payload.decode()


@pytest.mark.parametrize("before", EVENT_TYPES)
@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_soon_after_a_rejection_only_another_one_is_left_out(kind: str, before: str) -> None:
    told = rendered(camera()["events"]["value_template"], event(kind), ago(3), before)

    assert bool(told) == ((kind, before) != ("rejected", "rejected"))


def test_rejections_that_come_seldom_are_all_taken() -> None:
    template = camera()["events"]["value_template"]

    assert rendered(template, event("rejected"), ago(11), "rejected")


def test_every_kind_of_event_is_announced() -> None:
    kinds = Event.model_fields["event_type"].annotation

    assert set(camera()["events"]["event_types"]) == set(kinds.__args__)  # type: ignore[union-attr]  # a Literal


def stats(**counters: float) -> bytes:
    [sample] = SAMPLES[topics.STATS.pattern]
    return topics.STATS.encode(sample.model_copy(update={"counters": counters}))


def test_the_numbers_of_the_services_become_states() -> None:
    system = components_of("secondlook")
    shed = {"classifier_crops_shed_total{camera=yard,cause=full}": 2.0}
    shed |= {"classifier_crops_shed_total{camera=door,cause=full}": 3.0, "classifier_alerts": 9.0}

    assert rendered(system["crops_dropped"]["value_template"], stats(**shed)) == "5"
    assert rendered(system["crops_dropped"]["value_template"], stats()) == "0"
    assert (
        rendered(system["second_model"]["value_template"], stats(classifier_model_up=1.0)) == "ON"
    )
    assert rendered(system["second_model"]["value_template"], stats()) == "OFF"
    assert rendered(system["version"]["value_template"], stats()) == "0.1.0"


def test_each_camera_has_its_own_frame_rate() -> None:
    counters = {"camera_fps{camera=front_door}": 4.9, "camera_fps{camera=yard}": 1.0}
    template = camera()["fps"]["value_template"]

    assert rendered(template, stats(**counters)) == "4.9"
    assert rendered(template, stats()) == "None"


def blind_now(**changes: Any) -> bytes:
    sample = SAMPLES[topics.BLIND_NOW.pattern][0]
    return topics.BLIND_NOW.encode(sample.model_copy(update=changes))


def test_whether_a_camera_is_blind_is_there_for_those_who_switch_it_on() -> None:
    sensor = camera()["blind"]

    assert sensor["enabled_by_default"] is False
    assert [each["topic"] for each in sensor["availability"]] == ["secondlook/status/classifier"]
    assert rendered(sensor["value_template"], blind_now()) == "ON"
    assert rendered(sensor["value_template"], blind_now(blind=False)) == "OFF"
    assert rendered(sensor["value_template"], GONE) == "None"
    assert json.loads(rendered(sensor["json_attributes_template"], blind_now())) == {
        "why": ["the camera was offline"],
        "since": "2026-11-22T06:13:19.923Z",
    }
