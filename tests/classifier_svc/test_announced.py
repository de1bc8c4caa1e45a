"""What is said to Home Assistant when the configuration changes: nothing stays behind."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from classifier_svc.announced import Announced, plan

OLD, NEW = "small_gun", "pistol"


def payload(*labels: str, **more: Any) -> dict[str, Any]:
    components = {label: {"platform": "binary_sensor", "name": label} for label in labels}
    return {"device": {}, "components": components} | more


def announced(*steps: dict[str, dict[str, Any]], prefix: str = "homeassistant") -> list[Announced]:
    """Return what is known after one process after another wanted these devices."""
    known: list[Announced] = []
    for wanted in steps:
        known = plan(known, prefix, wanted)
    return known


def said(device: Announced, *, came: bool = False) -> list[dict[str, Any]]:
    """Return the components of each message; an empty message has none."""
    return [json.loads(text)["components"] if text else {} for text in device.messages(came=came)]


def test_what_is_new_is_said_once() -> None:
    [device] = announced({"yard": payload(OLD)})

    assert said(device) == [payload(OLD)["components"]]
    assert said(device, came=True) == [payload(OLD)["components"]]


def test_what_did_not_change_is_as_before() -> None:
    assert announced({"yard": payload(OLD)}) == announced(*[{"yard": payload(OLD)}] * 3)


def test_a_change_that_takes_nothing_away_needs_no_farewell() -> None:
    [device] = announced({"yard": payload(OLD)}, {"yard": payload(OLD, NEW, qos=1)})

    assert said(device) == [payload(OLD, NEW)["components"]]
    assert device.former is None


def test_a_component_is_taken_away_before_it_is_left_out() -> None:
    [device] = announced({"yard": payload(OLD)}, {"yard": payload(NEW)})

    farewell, last = said(device)
    assert farewell == {OLD: {"platform": "binary_sensor"}, NEW: payload(NEW)["components"][NEW]}
    assert last == payload(NEW)["components"]


def test_a_device_is_taken_away_by_nothing() -> None:
    yard, door = {"yard": payload(OLD)}, {"door": payload(OLD)}
    known = announced(yard | door, door)

    assert {each.device: each.messages(came=False) for each in known}["yard"] == [b""]


def test_home_assistant_that_was_away_is_told_what_it_knew_and_that_it_is_gone() -> None:
    [label] = announced({"yard": payload(OLD)}, {"yard": payload(NEW)})
    [camera] = announced({"yard": payload(OLD)}, {})

    assert said(label, came=True)[0] == payload(OLD)["components"]
    assert said(label, came=True)[1:] == said(label)
    assert said(camera, came=True) == [payload(OLD)["components"], {}]


def test_once_it_was_told_nothing_is_remembered() -> None:
    [label] = announced({"yard": payload(OLD)}, {"yard": payload(NEW)})
    [camera] = announced({"yard": payload(OLD)}, {})

    assert label.greeted().messages(came=True) == label.messages(came=False)[-1:]
    assert camera.greeted().forgotten


def test_all_that_was_ever_said_is_taken_away_when_home_assistant_stays_away() -> None:
    steps = [{"yard": payload(label)} for label in ("one", "two", "three")]
    [device] = announced(*steps, {"yard": payload(NEW)})

    gone = {key for key, each in said(device)[0].items() if set(each) == {"platform"}}
    assert gone == {"one", "two", "three"}


def test_a_camera_that_comes_back_is_whole() -> None:
    [device] = announced({"yard": payload(OLD)}, {}, {"yard": payload(OLD)})

    assert device.messages(came=False) == announced({"yard": payload(OLD)})[0].messages(came=False)


def test_another_prefix_takes_away_what_was_said_below_the_old_one() -> None:
    before = announced({"yard": payload(OLD)})
    known = plan(before, "ha", {"yard": payload(OLD)})

    assert {(each.prefix, each.messages(came=False)[-1] == b"") for each in known} == {
        ("ha", False),
        ("homeassistant", True),
    }


Key = tuple[str, str]
"""Device and component."""


@dataclass
class HomeAssistantModel:
    """Forgets what it is told to, if it has discovered it since its start."""

    registry: set[Key] = field(default_factory=set)
    live: set[Key] = field(default_factory=set)
    runs: bool = True

    def hear(self, device: str, payload: bytes) -> None:
        if not self.runs:
            return
        if not payload:
            self._forget({key for key in self.live if key[0] == device})
            return
        for name, component in json.loads(payload)["components"].items():
            key = (device, name)
            if set(component) == {"platform"}:
                self._forget({key} & self.live)
            else:
                self.live.add(key)
                self.registry.add(key)

    def _forget(self, keys: set[Key]) -> None:
        self.live -= keys
        self.registry -= keys


WANTED = st.dictionaries(
    st.sampled_from(["yard", "door"]),
    st.sets(st.sampled_from(["one", "two", "three"]), min_size=1),
)


@given(st.lists(st.tuples(WANTED, st.booleans()), min_size=1, max_size=6))
def test_whatever_changes_while_it_is_here_or_away_it_knows_what_is_wanted_in_the_end(
    steps: list[tuple[dict[str, set[str]], bool]],
) -> None:
    home, known = HomeAssistantModel(), list[Announced]()
    for wanted, runs in [*steps, (steps[-1][0], True)]:
        came = runs and not home.runs
        home.live, home.runs = (set(), True) if came else (home.live, runs)
        payloads = {device: payload(*sorted(labels)) for device, labels in wanted.items()}
        known = plan(known, "homeassistant", payloads)
        for device in known:
            for text in device.messages(came=False):
                home.hear(device.device, text)
        if came:
            for device in known:
                for text in device.messages(came=True):
                    home.hear(device.device, text)
            known = [each.greeted() for each in known if not each.greeted().forgotten]

    wished = {(device, label) for device, labels in steps[-1][0].items() for label in labels}
    assert home.registry == home.live == wished
