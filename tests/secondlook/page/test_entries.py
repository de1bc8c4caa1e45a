from typing import Any

import pytest

from secondlook.page.entries import Entries, Viewer


class Looking:
    def __init__(self, entries: Entries) -> None:
        self.woken = 0
        self.viewer: Viewer = entries.viewer(self.wake)

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def entries() -> Entries:
    return Entries({"alerts": 2})


def test_a_new_viewer_is_told_everything_once(entries: Entries) -> None:
    entries.put("cameras", "yard", {"rate": 5})
    entries.put("broker", "broker", True)
    looking = Looking(entries)

    assert looking.viewer.take() == {"cameras": {"yard": {"rate": 5}}, "broker": {"broker": True}}
    assert looking.viewer.take() == {}


def test_what_changes_twice_is_told_once_as_it_is_by_then(entries: Entries) -> None:
    looking = Looking(entries)
    entries.put("cameras", "yard", 1)
    entries.put("cameras", "yard", 2)

    assert looking.viewer.take() == {"cameras": {"yard": 2}}


def test_what_does_not_change_wakes_nobody(entries: Entries) -> None:
    entries.put("cameras", "yard", 1)
    looking = Looking(entries)
    looking.viewer.take()
    entries.put("cameras", "yard", 1)

    assert looking.woken == 0
    assert looking.viewer.take() == {}


def test_what_is_gone_is_told_as_null(entries: Entries) -> None:
    entries.put("looks", "a", 1)
    looking = Looking(entries)
    looking.viewer.take()
    entries.drop("looks", "a")
    entries.drop("looks", "never there")

    assert looking.viewer.take() == {"looks": {"a": None}}


def test_a_full_part_loses_what_comes_first_in_order_whenever_it_came(entries: Entries) -> None:
    entries.put("alerts", "late", 1, order=9)
    entries.put("alerts", "later", 1, order=10)

    assert entries.put("alerts", "early", 1, order=1) == ["early"]
    assert entries.put("alerts", "latest", 1, order=11) == ["late"]
    assert {name for _, name in entries.keys()} == {"later", "latest"}  # noqa: SIM118 - no mapping


def test_a_viewer_that_left_is_told_nothing(entries: Entries) -> None:
    looking = Looking(entries)
    entries.leave(looking.viewer)
    entries.put("cameras", "yard", 1)

    assert looking.woken == 0
    assert entries.viewers == 0


def test_a_viewer_that_takes_nothing_holds_each_name_once(entries: Entries) -> None:
    looking = Looking(entries)
    value: Any
    for value in range(10_000):
        entries.put("cameras", "yard", value)

    assert looking.viewer.take() == {"cameras": {"yard": 9_999}}
