"""The access rules, read as an attacker would."""

import pytest

from secondlook import topics
from secondlook.access import USERS, acl, rules

NAMES = [user.name for user in USERS]
ALERT = "home/alerts/+/+"


def may(user: str, what: str) -> set[str]:
    return {rule.filter for rule in rules(user, "home") if rule.may == what}


def test_only_the_classifier_writes_alerts() -> None:
    assert [name for name in NAMES if ALERT in may(name, "write")] == ["classifier"]


def test_a_producer_reads_nothing_but_how_the_services_are() -> None:
    assert may("producers", "read") == {"home/status/+"}


def test_a_consumer_only_asks_for_a_replay() -> None:
    assert may("consumer", "write") == {"home/replay"}


def test_the_page_asks_for_a_replay_gives_feedback_and_commands_nothing() -> None:
    assert may("page", "write") == {"home/replay", "home/feedback"}


def test_the_page_reads_what_consumers_read_and_which_frames_there_are() -> None:
    assert may("page", "read") == may("consumer", "read") | {"home/frames/+"}


def test_home_assistant_gives_commands_and_feedback() -> None:
    assert {"home/set/+/+", "home/feedback"} <= may("homeassistant", "write")


def test_the_operator_reads_every_topic() -> None:
    assert may("operator", "read") == {topic.filter("home") for topic in topics.ALL}


@pytest.mark.parametrize("service", ["producers", "detector", "classifier"])
def test_a_service_speaks_for_itself_and_for_those_it_watches(service: str) -> None:
    spoken = {path for path in may(service, "write") if path.startswith("home/status/")}
    others = {
        "producers": set(),
        "detector": {"triton", "classifier"},
        "classifier": {"producers", "detector"},
    }
    assert spoken == {f"home/status/{name}" for name in {service, *others[service]}}


@pytest.mark.parametrize("service", ["producers", "detector", "classifier"])
def test_a_service_gives_only_its_own_beats(service: str) -> None:
    given = {path for path in may(service, "write") if path.startswith("home/beats/")}
    assert given == {f"home/beats/{service}"}


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.pattern)
def test_every_topic_has_a_user_that_writes_it_and_one_that_reads_it(
    topic: topics.Topic[object],
) -> None:
    first = topic.pattern.split("/", maxsplit=1)[0]
    written = {path for name in NAMES for path in may(name, "write")}
    read = {path for name in NAMES for path in may(name, "read")}
    assert any(path.split("/")[1] == first for path in written)
    assert topic.filter("home") in read


def test_nobody_gets_a_wildcard_over_our_topics() -> None:
    given = {path for name in NAMES for what in ("read", "write") for path in may(name, what)}
    assert not {path for path in given if path.startswith("home/") and "#" in path}


def test_an_unknown_user_is_an_error() -> None:
    with pytest.raises(ValueError, match="no broker user"):
        rules("mallory", "home")


def test_the_file_gives_nothing_before_the_first_user() -> None:
    before = acl("home").split("user ", maxsplit=1)[0]
    assert not [line for line in before.splitlines() if line and not line.startswith("#")]
