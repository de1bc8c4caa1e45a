"""Deleting alerts and their pictures: from the database, its files and the broker."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from classifier_svc.forgetting import ids_of
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.errors import Unreadable
from secondlook.local.tritonserver import Server
from secondlook.messages import ForgetCommand
from tests.integration.broker_fixtures import PATIENCE_S, Broker
from tests.integration.classifier_rig import RED, Rig, rigged

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(broker: Broker, verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    pictures = {"crop": True, "clean": True}
    async with rigged(broker, verdicts_server, tmp_path, snapshots=pictures) as one:
        await one.live()
        yield one


async def secondlook(rig: Rig, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", "forget", *arguments),
        *("--broker", f"127.0.0.1:{rig.broker.port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def an_episode(rig: Rig, track: str, camera: str = "yard") -> str:
    """Let an episode begin and end; return its id."""
    before = {alert.id for alert in rig.alerts()}
    await rig.show(RED, RED, track=track, camera=camera)
    await rig.until(lambda: {alert.id for alert in rig.alerts()} - before)
    await rig.end_track(track, camera)
    await rig.watch(7, camera)
    [new] = {alert.id for alert in rig.alerts()} - before
    # Not by the state, which was OFF before too.
    await rig.until(lambda: (new, "end") in {(alert.id, alert.event) for alert in rig.alerts()})
    await rig.delivered()
    return new


def of(camera: str) -> set[str]:
    """Return the topics on which something is retained of a camera's alert."""
    pictures = {f"pictures/{camera}/{kind}" for kind in ("crop", "clean")}
    return {f"snapshots/{camera}", f"last/{camera}/small_gun"} | pictures


async def kept(rig: Rig) -> set[str]:
    """Return the topics that a newcomer finds at the broker."""
    found: set[str] = set()

    async def hear(topic: topics.Topic[Any]) -> None:
        async for delivery in bus.subscribe(topic):
            found.add(topic.path("", **delivery.levels).lstrip("/"))

    async with Bus(rig.broker.mqtt(), service=f"newcomer-{time.time_ns():x}") as bus:
        kinds = (topics.LAST, topics.SNAPSHOTS, topics.PICTURES)
        hearing = [asyncio.create_task(hear(kind)) for kind in kinds]
        await asyncio.sleep(0)  # they subscribe
        states = bus.subscribe(topics.STATE)  # so these come after the others
        async with asyncio.timeout(PATIENCE_S):
            await states.batch(1)
        await asyncio.sleep(0.3)
        for task in hearing:
            task.cancel()
    return found


async def test_a_cameras_alerts_are_gone_everywhere_and_anothers_stay(rig: Rig) -> None:
    alert = await an_episode(rig, "1")
    other = await an_episode(rig, "2", "door")
    assert await kept(rig) == of("yard") | of("door")

    code, said = await secondlook(rig, "--camera", "yard", "--all")

    assert (code, said) == (0, "Deleted: 1 alert of yard.\n")
    # The answer may come before the file is rewritten.
    done = {"key": "forget", "outcome": "done"}
    counted = partial(rig.context.registry.get_sample_value, "secondlook_classifier_commands_total")
    await rig.until(lambda: counted(done) == 1)
    await rig.delivered()
    assert await kept(rig) == of("door")
    assert {each.id for each in await rig.replayed(600)} == {other}
    assert rig.rows("SELECT alert_id FROM pictures") == [(other,)]
    stale = [said for said in rig.said(topics.SNAPSHOTS, camera="yard") if said][-1]
    await rig.die()
    # No episode of it is left in the files of the database either, nor a picture.
    files = [path.read_bytes() for path in rig.database.parent.glob("secondlook.sqlite3*")]
    pattern = re.compile(re.escape(alert.encode()) + rb'","event')
    assert not any(pattern.search(content) for content in files)
    begins = stale[: stale.index(alert.encode()) + len(alert)]
    assert not any(begins in content for content in files)
    await rig.live()
    await asyncio.sleep(0.5)
    assert await kept(rig) == of("door")


async def test_one_alert_is_deleted_by_its_id(rig: Rig) -> None:
    first = await an_episode(rig, "1")
    await asyncio.sleep(0.01)
    second = await an_episode(rig, "20")

    assert (await secondlook(rig, first))[0] == 0
    assert {each.id for each in await rig.replayed(600)} == {second}
    assert await kept(rig) == of("yard")
    assert (await secondlook(rig, second))[1] == "Deleted: 1 alert of yard.\n"
    await asyncio.sleep(0.5)
    assert await kept(rig) == set()
    assert (await secondlook(rig, second))[1] == "Deleted: 0 alerts of yard.\n"


def answers(rig: Rig) -> list[Any]:
    return rig.said(topics.CONFIG, camera="yard", key="forget")


async def test_the_answer_says_what_was_asked_so_that_others_can_forget_it_too(rig: Rig) -> None:
    alert = await an_episode(rig, "1")
    before = "2026-11-22T06:13:20.000Z"

    nothing = {"id": None, "before": None}
    wishes: list[dict[str, JsonValue]] = [{"id": alert}, {"before": before}, {}]
    for number, asked in enumerate(wishes, 1):
        await rig.command("forget", asked)
        await rig.until(lambda number=number: len(answers(rig)) == number)  # type: ignore[misc]
        answer = answers(rig)[-1]
        assert isinstance(answer, dict)
        assert {key: answer[key] for key in nothing} == nothing | asked


async def test_a_request_that_means_nothing_deletes_nothing(rig: Rig) -> None:
    alert = await an_episode(rig, "1")
    rubbish: list[Any] = [[], "x", 7, None, {"id": "../x"}, {"before": "soon"}]
    for asked in (*rubbish, {"id": "door-" + "0" * 26}):
        await rig.command("forget", asked)
    await rig.until(lambda: rig.log.read_text().count("set/yard/forget is refused") == 7)
    assert {each.id for each in await rig.replayed(600)} == {alert}
    assert (await secondlook(rig, "--camera", "yard", "--before", "1h"))[1].startswith("Deleted: 0")


@pytest.mark.parametrize("arguments", [[], ["--all"], ["x", "--all"], ["--before", "1d"]])
async def test_the_command_wants_to_know_what(rig: Rig, arguments: list[str]) -> None:
    assert (await secondlook(rig, *arguments))[0] == 2


def test_ids_before_a_moment_are_those_of_earlier_times() -> None:
    moment = datetime(2026, 11, 22, 6, 13, 19, 923000, tzinfo=UTC)
    begun = "front_door-01m80y6fxk8e5t7w9x0y1z2a3b"
    for before, meant in ((moment, False), (moment + timedelta(seconds=1), True)):
        first, end = ids_of("front_door", ForgetCommand(before=before))
        assert (first <= begun < end) is meant
    first, end = ids_of("front", ForgetCommand())
    assert not first <= begun < end
    with pytest.raises(Unreadable, match="another camera"):
        ids_of("front", ForgetCommand(id=begun))
