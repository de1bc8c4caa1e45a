"""What somebody tries who may publish anything: on a broker without access rules, the worst case.

After each attack the classifier still lives, and a gun still alerts.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from classifier_svc.pictures import read_crop
from classifier_svc.requests import TEST_EVERY_S
from secondlook import topics
from secondlook.errors import Unreadable
from secondlook.local.tritonserver import Server
from secondlook.messages import Box, Crop
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import RED, Rig, rigged

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
UP = "../../../../../../tmp/secondlook-was-here"
NAMES = ["..", UP, "yard/../door", "%2e%2e%2f", "a\0b", "ä", "YARD", "x" * 5000, "", "CON", "$SYS"]


class Attacked:
    """A rig, and a pen that writes anything."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.topics: set[str] = set()
        """Everything that the classifier has published on."""
        self._track = 1000

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        client = self.rig.bus._connection.client  # type: ignore[union-attr]
        client.publish(f"secondlook/{topic}", payload, qos=1, retain=retain)

    async def a_gun_still_alerts(self) -> None:
        self._track += 1
        track = str(self._track)
        await self.rig.insist(
            lambda: self.rig.show(RED, RED, track=track),
            lambda: any(verdict.track == f"yard-{track}" for verdict in self.rig.verdicts()),
        )
        await self.rig.until(self.rig.alerts)
        assert self.rig.task is not None
        assert not self.rig.task.done()

    def files(self) -> set[str]:
        """Return the files of the classifier but its log and the database's own."""
        return {
            str(path.relative_to(self.rig.folder))
            for path in self.rig.folder.rglob("*")
            if path.is_file() and not path.name.startswith("secondlook.sqlite3")
        }


@pytest.fixture
async def attacked(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> AsyncIterator[Attacked]:
    review = {"enabled": True, "keep": ["rejected", "uncertain", "corrected", "confirmed"]}
    async with rigged(broker, verdicts_server, tmp_path, review=review) as rig:
        await rig.live()
        yield Attacked(rig)


def changed(crop: Crop, **values: Any) -> bytes:
    """Return a crop's JSON with fields that its own class would refuse."""
    said = json.loads(crop.encode())
    for path, value in values.items():
        at = said
        *above, last = path.split("__")
        for key in above:
            at = at[key]
        at[last] = value
    return json.dumps(said).encode()


async def test_names_in_messages_never_become_paths(attacked: Attacked) -> None:
    rig = attacked.rig
    for name in NAMES:
        crop = rig.crop(track="7")
        for payload in (
            changed(crop, id=f"yard-{name}.1"),
            changed(crop, track=f"yard-{name}", id=f"yard-{name}.1"),
            changed(crop, camera=name, track=f"{name}-1", id=f"{name}-1.1"),
            changed(crop, frame__id=name, frame__camera=name),
            changed(crop, frame__run=name),
            changed(crop, detector__model=name, detector__label=name),
        ):
            attacked.publish("crops/yard", payload)
        for said in (
            {"id": f"{name}-01m80y6fxk8e5t7w9x0y1z2a3b", "truth": "false_alarm"},
            {
                "id": "yard-01m80y6fxk8e5t7w9x0y1z2a3b",
                "truth": "false_alarm",
                "label": name,
            },
        ):
            attacked.publish("feedback", json.dumps(said).encode())
        attacked.publish("set/yard/test_alert", json.dumps({"label": name}).encode())
        attacked.publish(
            "replay", json.dumps({"since": "2026-11-22T00:00:00Z", "client": name}).encode()
        )
    await attacked.a_gun_still_alerts()
    await asyncio.sleep(1)

    # The crops of well-formed messages lie in the review set, under labels and stems of ours.
    assert all(
        file in ("config.yaml", "classifier.log") or file.startswith("data/review/")
        for file in attacked.files()
    )
    assert {part for file in attacked.files() for part in Path(file).parts} & set(NAMES) == set()
    assert not was_there()
    clients = {levels["client"] for where, levels, _ in rig.heard if where.startswith("replayed")}
    assert clients <= {"CON", "YARD"}


def was_there() -> bool:
    return (Path("/") / UP.lstrip("./")).exists()


def jpeg(side: int, *options: int) -> bytes:
    image = np.full((side, side, 3), 128, np.uint8)
    return cv2.imencode(".jpg", image, list(options))[1].tobytes()


async def test_pictures_that_unpack_to_far_more_are_not_unpacked(attacked: Attacked) -> None:
    rig = attacked.rig
    good = rig.crop().jpeg
    claims = bytearray(good)
    at = claims.index(b"\xff\xc0")
    claims[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    small = bytearray(jpeg(6000))  # a true picture of 36 million pixels in a few hundred kB
    lies = bytearray(small)
    at = lies.index(b"\xff\xc0")
    lies[at + 5 : at + 9] = (16).to_bytes(2, "big") * 2
    bombs = [
        bytes(claims),
        bytes(small),
        jpeg(6000, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        bytes(lies),
        b"\xff\xd8" + b"\xff\xe1\xff\xff" + b"x" * 65_533 + good[2:],
        b"\xff\xd8" + b"\xff" * 1_000_000,
        b"\xff\xd8" + b"\xff\x01" * 500_000,
        b"\x89PNG\r\n\x1a\n" + good,
    ]
    began = time.process_time()
    for number, bomb in enumerate(bombs):
        await rig.send(rig.crop(track=str(50 + number), jpeg=bomb))
    await attacked.a_gun_still_alerts()
    await rig.until(lambda: rig.rows("SELECT count(*) FROM inbox WHERE done_ns IS NULL") == [(0,)])

    # The fourth says 16 x 16 and is read as that; the fifth is a picture with a long comment.
    judged = {verdict.track for verdict in rig.verdicts()} - {"yard-1001"}
    assert judged <= {"yard-53", "yard-54"}
    await rig.until(lambda: rig.said(topics.DEAD_LETTERS))
    assert "6000 x 6000 pixels, cut out of 100 x 100" in str(reasons(bombs[1]))
    assert time.process_time() - began < 30


def reasons(jpeg: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as refused:
        read_crop(jpeg, Box(x1=0, y1=0, x2=100, y2=100))
    return refused.value


async def test_deep_and_large_messages_are_refused_unread(attacked: Attacked) -> None:
    deep = [b"[" * 60_000, b'{"a":' * 10_000, b"[" * 3000 + b"]" * 3000, b"9" * 60_000, b"1e999999"]
    deep += [
        b"x" * 3_900_000,
        b'"' + b"\\u0000" * 9000 + b'"',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
    ]
    where = ["crops/yard", "feedback", "replay", "set/yard/test_alert", "set/yard/confirm_score"]
    for topic in [*where, "status/detector", "cameras/yard/status", "x/y/z", "set/yard/armed/x"]:
        for payload in deep:
            attacked.publish(topic, payload)
    await attacked.a_gun_still_alerts()
    letters = attacked.rig.said(topics.DEAD_LETTERS)

    assert letters
    # A flood of rubbish is no flood of letters, and none repeats much of what it got.
    assert len(letters) < 9 * len(deep)
    assert max(len(letter.first_bytes) for letter in letters) <= 256


@pytest.mark.parametrize("key", ["test_alert", "armed", "confirm_score", "cooldown_s", "__init__"])
async def test_commands_with_rubbish_are_refused(attacked: Attacked, key: str) -> None:
    values: list[Any] = [
        None,
        True,
        -1,
        1e308,
        "",
        "x" * 60_000,
        [],
        [[]],
        {"label": 7},
        {"label": ["a"]},
    ]
    values += [{"label": "../x"}, {"label": "phone"}, {"label": None, "x": {}}, {"__class__": 1}]
    began_s = time.monotonic()
    for value in values:
        attacked.publish(f"set/yard/{key}", json.dumps(value).encode())
        attacked.publish(f"set/nowhere/{key}", json.dumps(value).encode())
    attacked.publish(f"set/yard/{key}", b"{}", retain=True)
    await attacked.a_gun_still_alerts()

    assert all(alert.label in ("small_gun", "big_gun") for alert in attacked.rig.alerts())
    # Values that are no object ask for a plain test alert; they come no faster than allowed.
    tests = {alert.id for alert in attacked.rig.alerts() if alert.test}
    assert len(tests) <= 1 + (time.monotonic() - began_s) / TEST_EVERY_S


@pytest.mark.parametrize(
    "client", ["+", "#", "a/b", "/".join("a" * 64), "a" * 65, "..", "$share", "a b", "ä", "", 7]
)
async def test_a_replay_goes_to_one_plain_name_or_nowhere(attacked: Attacked, client: Any) -> None:
    asked = {"since": "2026-11-22T00:00:00Z", "client": client}
    attacked.publish("replay", json.dumps(asked).encode())
    await attacked.a_gun_still_alerts()
    assert attacked.rig.said(topics.REPLAYED) == []
    reasons = [letter.reason for letter in attacked.rig.said(topics.DEAD_LETTERS)]
    assert any(reason.startswith("client: ") for reason in reasons)


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59.999999-23:59"]
)
async def test_a_replay_since_the_edge_of_the_calendar_ends(attacked: Attacked, since: str) -> None:
    attacked.publish("replay", json.dumps({"since": since, "client": "me"}).encode())
    await attacked.rig.until(lambda: attacked.rig.said(topics.REPLAYED))
    await attacked.a_gun_still_alerts()


async def test_a_flood_of_replays_is_bounded_work(attacked: Attacked) -> None:
    await attacked.rig.show(RED, RED)
    await attacked.rig.until(attacked.rig.alerts)
    asked = json.dumps({"since": "2026-11-22T00:00:00Z", "client": "flood"}).encode()
    for _ in range(3000):
        attacked.publish("replay", asked)
    await attacked.a_gun_still_alerts()
    # One who asks behind the flood is answered, and only what was begun before is still to come.
    assert len(await attacked.rig.replayed(600)) >= 1
    sent, before = len(attacked.rig.said(topics.REPLAYED)), 0
    while sent > before:
        await asyncio.sleep(2)
        sent, before = len(attacked.rig.said(topics.REPLAYED)), sent

    assert sent < 3000, "each of the 3000 was answered with an alert and an end"


async def test_statuses_of_nobody_and_of_others_change_nothing(attacked: Attacked) -> None:
    for number in range(500):
        attacked.publish(f"status/mallory_{number}", b"offline", retain=False)
        attacked.publish(f"cameras/no_{number}/status", b"offline")
    for word in (b"OFFLINE", b"", b"online\n", b"true", b"\xff"):
        attacked.publish("status/detector", word)
        attacked.publish("cameras/yard/status", word)
    await attacked.a_gun_still_alerts()
    assert attacked.rig.said(topics.BLIND) == []
    [(rows,)] = attacked.rig.rows("SELECT count(*) FROM memory WHERE kind = 'blind'")
    assert rows == 0


async def test_feedback_on_alerts_that_never_were_changes_nothing(attacked: Attacked) -> None:
    before = attacked.files()
    for number in range(200):
        said = {"id": f"yard-{number:026d}", "truth": "true_alarm", "label": "small_gun"}
        attacked.publish("feedback", json.dumps(said).encode())
    await attacked.a_gun_still_alerts()
    await attacked.rig.until(
        lambda: attacked.rig.rows("SELECT count(*) FROM feedback") == [(200,)], 60
    )
    new = {file for file in attacked.files() - before if "review" in file}
    assert all("/small_gun/" in file or "/unsorted/" in file for file in new), new
