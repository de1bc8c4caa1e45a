import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from classifier_svc.settings import KEYS, Settings
from secondlook.config import Alerts
from secondlook.errors import Unreadable

WRONG: dict[str, list[Any]] = {
    "armed": [0, 1, "ON", "true", {}, []],
    "confirm_score": [
        *(-0.01, 1.01, True, "0.5", float("nan"), {}, [0.5]),
        *({"small_gun": 2}, {"small_gun": None}, {"small_gun": "1"}, {"small_gun": False}),
    ],
    "cooldown_s": [-1, 86_401, False, "30", float("nan"), 10**400, {}],
}


def settings(**rule: JsonValue) -> Settings:
    return Settings(Alerts.model_validate(rule))


def moved(old: Settings, **rule: JsonValue) -> Settings:
    """What the next process makes of it, with another configuration."""
    new = settings(**rule)
    for kind, key, value in old.take_changes():
        assert kind == "setting"
        if value is not None:
            new.restore(key, value)
    return new


def test_where_nothing_was_set_the_configuration_holds() -> None:
    one = settings(confirm_score=0.7, cooldown_s=12)
    assert [one.in_force(key) for key in KEYS] == [True, 0.7, 12.0]
    assert one.take_changes() == []


@pytest.mark.parametrize(
    ("key", "value", "in_force"),
    [
        ("armed", False, False),
        ("armed", True, True),
        ("confirm_score", 0.9, 0.9),
        ("confirm_score", 0, 0.0),
        ("confirm_score", 1, 1.0),
        ("confirm_score", {"small_gun": 0.9}, {"small_gun": 0.9, "big_gun": 0.8}),
        ("confirm_score", {"small_gun": 0.9, "big_gun": 0.9}, 0.9),
        ("cooldown_s", 0, 0.0),
        ("cooldown_s", 86_400, 86_400.0),
    ],
)
def test_a_value_holds_from_now_on(key: str, value: JsonValue, in_force: JsonValue) -> None:
    one = settings()
    one.set(key, value)
    assert one.in_force(key) == in_force
    assert json.dumps(one.in_force(key)) == json.dumps(in_force)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key, values in WRONG.items() for value in values),
        ("confirm_score", {"cannon": 0.5}),
    ],
)
def test_what_cannot_hold_is_refused_with_what_could(key: str, value: JsonValue) -> None:
    one = settings()
    before = one.in_force(key)
    with pytest.raises(Unreadable, match=f"^{key} must be "):
        one.set(key, value)
    assert one.in_force(key) == before
    assert one.take_changes() == []


def test_labels_that_an_object_leaves_out_keep_theirs() -> None:
    one = settings(confirm_score=0.5)
    one.set("confirm_score", 0.9)
    one.set("confirm_score", {"big_gun": 0.6})
    assert one.in_force("confirm_score") == {"small_gun": 0.9, "big_gun": 0.6}
    one.set("confirm_score", {"small_gun": 0.7})
    assert one.rule.score_needed("big_gun") == 0.6
    assert one.rule.score_needed("small_gun") == 0.7


def test_null_returns_to_the_configuration() -> None:
    one = settings(cooldown_s=12)
    given: dict[str, JsonValue] = {"armed": False, "confirm_score": 0.9, "cooldown_s": 5}
    for key, value in given.items():
        one.set(key, value)
        one.set(key, None)
    assert [one.in_force(key) for key in KEYS] == [True, 0.8, 12.0]
    assert [value for _, _, value in one.take_changes()] == [None, None, None]


def test_what_was_set_survives_a_restart_and_outweighs_a_new_configuration() -> None:
    one = settings()
    one.set("armed", value=False)
    one.set("cooldown_s", 5)
    two = moved(one, cooldown_s=60, confirm_score=0.6)
    assert [two.in_force(key) for key in KEYS] == [False, 0.6, 5.0]
    assert two.take_changes() == [], "it lies there already"


def test_a_label_that_alerts_no_more_is_left_out_of_what_was_set() -> None:
    one = settings()
    one.set("confirm_score", {"small_gun": 0.9, "big_gun": 0.7})
    two = moved(one, labels=["big_gun", "knife"], confirm_score=0.5)
    assert two.in_force("confirm_score") == {"big_gun": 0.7, "knife": 0.5}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("armed", b"7"),
        ("armed", b"null"),
        ("volume", b"1"),
        ("cooldown_s", b"x"),
        ("confirm_score", b'{"cannon": 0.5}'),
    ],
)
def test_a_row_that_cannot_hold_any_more_is_refused(key: str, value: bytes) -> None:
    with pytest.raises(ValueError, match=r"must be|no such|JSON|Expecting"):
        settings().restore(key, value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
LABELS = st.sampled_from(["small_gun", "big_gun", "cannon"])
VALUES = SCALARS | st.floats(0, 1) | st.dictionaries(LABELS, st.floats(-0.1, 1.1) | SCALARS)


@given(given=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=6))
def test_whatever_is_commanded_what_holds_is_valid_and_outlives_a_restart(
    given: list[tuple[str, Any]],
) -> None:
    one = settings()
    rows: dict[str, bytes | None] = {}
    for key, value in given:
        before = {key: one.in_force(key) for key in KEYS}
        try:
            one.set(key, value)
        except Unreadable:
            assert {key: one.in_force(key) for key in KEYS} == before
        rows |= {key: stored for _, key, stored in one.take_changes()}
    assert 0 <= one.rule.cooldown_s <= 86_400
    assert all(0 <= one.rule.score_needed(label) <= 1 for label in one.rule.labels)
    two = settings()
    for key, stored in rows.items():
        if stored is not None:
            two.restore(key, stored)
    assert [two.in_force(key) for key in KEYS] == [one.in_force(key) for key in KEYS]
    assert all(json.loads(json.dumps(one.in_force(key))) == one.in_force(key) for key in KEYS)
