import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook import topics
from secondlook.errors import Unreadable
from secondlook.messages import ReplayEnd, Seen
from secondlook.samples import ALERT, SAMPLES


def test_a_topic_is_filled_in_and_recognised() -> None:
    path = topics.ALERTS.path("secondlook", camera="yard", label="small_gun")
    assert path == "secondlook/alerts/yard/small_gun"
    assert topics.which("secondlook", path) == (
        topics.ALERTS,
        {"camera": "yard", "label": "small_gun"},
    )


def test_levels_that_are_not_given_are_any() -> None:
    assert topics.ALERTS.filter("a/b", camera="yard") == "a/b/alerts/yard/+"


@pytest.mark.parametrize("level", ["", "a/b", "..", "+", "#", "a b", "ä", "x" * 65, "a\n"])
def test_an_unsafe_level_never_becomes_part_of_a_topic(level: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a topic"):
        topics.FRAMES.path("secondlook", camera=level)


@pytest.mark.parametrize(
    "path",
    [
        "secondlook",
        "secondlook/",
        "other/frames/a",
        "secondlook/frames/a/b",
        "secondlook/frames/..",
    ],
)
def test_other_topics_are_none_of_ours(path: str) -> None:
    assert topics.which("secondlook", path) is None


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda t: t.pattern)
def test_every_topic_has_samples_that_it_can_read(topic: topics.Topic[Any]) -> None:
    levels = dict.fromkeys(re.findall(r"\{(\w+)\}", topic.pattern), "front_door")
    for sample in SAMPLES[topic.pattern]:
        payload = topic.encode(sample)
        assert topic.encode(topic.decode(payload, levels)) == payload


def test_patterns_are_distinct_at_every_level() -> None:
    for topic in topics.ALL:
        names = re.findall(r"\{(\w+)\}", topic.pattern)
        path = topic.path("r", **dict.fromkeys(names, "x"))
        assert [t for t in topics.ALL if t.levels("r", path) is not None] == [topic]


def test_only_states_are_retained_and_commands_never_are() -> None:
    retained = {t.pattern.partition("/")[0] for t in topics.ALL if t.retain}
    alerts = {"last", "newest", "state", "snapshots", "pictures", "counters"}
    assert retained == alerts | {"status", "cameras", "config", "blind_now"}


def test_a_topic_that_others_have_laid_down_is_not_below_our_root() -> None:
    birth: topics.Topic[str] = topics.Topic(
        "status", str, "born", ("consumers",), ("classifier",), kind="text", prefix="homeassistant"
    )

    assert birth.path("secondlook") == birth.filter("secondlook") == "homeassistant/status"
    assert birth.levels("secondlook", "homeassistant/status") == {}
    assert birth.levels("secondlook", "secondlook/status") is None


def test_a_message_must_speak_of_the_camera_of_its_topic() -> None:
    seen = Seen(camera="hall", run="r", media_ns=0, captured_ns=0)
    assert topics.CROPS.decode(seen.encode(), {"camera": "hall"}) == seen
    with pytest.raises(Unreadable, match="camera"):
        topics.CROPS.decode(seen.encode(), {"camera": "yard"})


def test_a_payload_beyond_the_limit_of_its_topic_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="at most 4096"):
        topics.REPLAY.decode(b" " * 4097, {})


@pytest.mark.parametrize("payload", [b"on", b"", b"\xff", b'"ON"', b"ON\n"])
def test_a_state_is_on_or_off_and_nothing_else(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        topics.STATE.decode(payload, {})


def test_the_last_answer_of_a_replay_is_told_from_an_alert() -> None:
    assert topics.REPLAYED.decode(ALERT.encode(), {}) == ALERT
    end = topics.REPLAYED.decode(b'{"end": true}', {})
    assert end == ReplayEnd(end=True)


@given(st.binary(max_size=300), st.sampled_from([t for t in topics.ALL if t.kind == "json"]))
def test_any_bytes_are_read_or_unreadable(payload: bytes, topic: topics.Topic[Any]) -> None:
    try:
        topic.decode(payload, {})
    except Unreadable as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


LEVELS = st.from_regex(topics.LEVEL, fullmatch=True)
ROOTS = st.from_regex(r"[A-Za-z0-9_-]{1,8}(/[A-Za-z0-9_-]{1,8}){0,2}", fullmatch=True)


@given(st.sampled_from(topics.ALL), ROOTS, st.lists(LEVELS, min_size=4, max_size=4))
def test_a_topic_is_known_by_its_path_and_gives_its_levels_back(
    topic: topics.Topic[Any], root: str, given: list[str]
) -> None:
    names = re.findall(r"\{(\w+)\}", topic.pattern)
    levels = dict(zip(names, given, strict=False))
    path = topic.path(root, **levels)
    assert topics.which(root, path) == (topic, levels)
    asked, found = topic.filter(root).split("/"), path.split("/")
    assert len(asked) == len(found)
    assert all(want in ("+", have) for want, have in zip(asked, found, strict=True))


@given(st.text(max_size=80))
def test_no_level_of_any_text_leads_out_of_its_place(text: str) -> None:
    found = topics.which("secondlook", f"secondlook/frames/{text}")
    assert (found is not None) == bool(topics.LEVEL.fullmatch(text))
