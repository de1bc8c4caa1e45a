"""The openHAB example cannot run here; its topics and channels are held against the contract."""

import re
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.topics import SET, which

FOLDER = Path(__file__).parents[2] / "examples" / "openhab"
THINGS = (FOLDER / "secondlook.things").read_text()
TOPICS = re.findall(r'(\w+Topic)="([^"]+)"', THINGS)


@pytest.mark.parametrize(("role", "path"), TOPICS)
def test_every_topic_is_one_of_the_contract(role: str, path: str) -> None:
    known = which("secondlook", path.replace("+", "x"))
    assert known is not None
    topic, levels = known
    assert "consumers" in (topic.writers if role == "commandTopic" else topic.readers)
    if role == "commandTopic":
        assert topic is SET
        state = topics.CONFIG.path("secondlook", **levels)
        assert f'stateTopic="{state}"' in THINGS, "what is in force comes back"


def test_a_trigger_is_no_retained_topic() -> None:
    triggers = re.findall(r'Type trigger : \w+ +"[^"]+" \[ stateTopic="([^"]+)"', THINGS)
    found = [which("secondlook", path) for path in triggers]
    assert [known[0] for known in found if known] == [topics.EVENTS]
    assert not topics.EVENTS.retain


def test_items_and_rules_name_channels_that_there_are() -> None:
    channels = set()
    thing = ""
    for line in THINGS.splitlines():
        if found := re.search(r"Thing topic (\w+)", line):
            thing = found[1]
        if found := re.search(r"Type \w+ +: (\w+)", line):
            channels.add(f"mqtt:topic:secondlook:{thing}:{found[1]}")
    text = (FOLDER / "secondlook.items").read_text() + (FOLDER / "secondlook.rules").read_text()
    named = set(re.findall(r'"(mqtt:topic:[\w:]+)"', text))
    assert len(named) > 10
    assert named <= channels
