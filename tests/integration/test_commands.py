"""Commands to a real classifier over a real broker: obeyed, refused, kept, said again."""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import setting
from secondlook.local.tritonserver import Server
from tests.integration.broker_fixtures import Broker, opened
from tests.integration.classifier_rig import RED, Rig, rigged

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(broker: Broker, verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(broker, verdicts_server, tmp_path) as one:
        await one.live()
        yield one


def said(rig: Rig, key: str, camera: str = "yard") -> list[Any]:
    return rig.said(topics.CONFIG, camera=camera, key=key)


def value(rig: Rig, key: str, camera: str = "yard") -> Any:
    """The value in force, as it was said last."""
    return next(reversed(said(rig, key, camera)), None)


def commands(rig: Rig, key: str, outcome: str) -> float:
    labels = {"key": key, "outcome": outcome}
    name = "secondlook_classifier_commands_total"
    return rig.context.registry.get_sample_value(name, labels) or 0.0


async def test_the_values_in_force_are_retained_from_the_start_on(rig: Rig) -> None:
    for camera in ("yard", "door"):
        await rig.until(partial(said, rig, "cooldown_s", camera))
        assert {key: value(rig, key, camera) for key in ("armed", "confirm_score")} == {
            "armed": True,
            "confirm_score": 0.8,
        }


async def test_a_disarmed_camera_is_judged_and_raises_no_alert_until_it_is_armed(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(lambda: rig.state("small_gun") == "ON")

    await rig.command("armed", value=False)
    await rig.until(lambda: rig.state("small_gun") == "OFF" and value(rig, "armed") is False)
    new, end = rig.alerts()
    assert (end.id, end.event, end.reason) == (new.id, "end", "disarmed")
    assert rig.said(topics.LAST, label="small_gun")[-1] == end

    await rig.show(RED, RED, RED)
    await rig.show(RED, RED, camera="door", track="7")
    await rig.until(lambda: len(rig.verdicts()) == 7 and len(rig.alerts()) == 3)
    assert rig.alerts()[-1].camera == "door", "the other camera is armed"

    old = [rig.crop(), rig.crop()]  # captured while it is disarmed, sent when it is not
    await rig.command("armed", value=True)
    await rig.until(lambda: value(rig, "armed") is True)
    await rig.send(*old)
    await rig.until(lambda: len(rig.verdicts()) == 9)
    assert len(rig.alerts()) == 3
    await rig.show(RED, RED)
    await rig.until(lambda: len(rig.alerts()) == 4)
    assert (rig.alerts()[-1].event, rig.alerts()[-1].camera) == ("new", "yard")
    assert rig.alerts()[-1].id != new.id


async def test_another_score_decides_about_the_next_look(rig: Rig) -> None:
    await rig.command("confirm_score", {"small_gun": 1.0})
    await rig.until(lambda: value(rig, "confirm_score") == {"small_gun": 1.0, "big_gun": 0.8})
    await rig.show(RED)
    await rig.until(rig.verdicts)
    assert (rig.verdicts()[0].outcome, rig.verdicts()[0].score < 1) == ("uncertain", True)
    await rig.command("confirm_score", None)
    await rig.until(lambda: value(rig, "confirm_score") == 0.8)
    await rig.show(RED)
    await rig.until(lambda: len(rig.verdicts()) == 2)
    assert rig.verdicts()[1].outcome == "confirmed"


async def test_a_refused_command_is_counted_and_the_value_in_force_is_said_again(
    rig: Rig,
) -> None:
    await rig.until(lambda: said(rig, "cooldown_s"))
    for key, wrong, holds in (
        ("armed", "ON", True),
        ("confirm_score", 1.5, 0.8),
        ("cooldown_s", -1, 30.0),
    ):
        rig.heard.clear()
        await rig.command(key, wrong)
        await rig.until(partial(said, rig, key))
        assert (said(rig, key), commands(rig, key, "refused")) == ([holds], 1)
    log = rig.log.read_text()
    assert "set/yard/armed is refused: armed must be true or false" in log
    assert "set/yard/cooldown_s is refused: cooldown_s must be a number of seconds" in log


async def cli(rig: Rig, *arguments: str) -> tuple[int | None, str]:
    where = () if "--config" in arguments else ("--broker", f"127.0.0.1:{rig.broker.port}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", *arguments, *where),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_the_command_line_commands_and_says_what_holds(rig: Rig) -> None:
    await rig.until(partial(said, rig, "cooldown_s"))
    for key, given, holds in (
        ("armed", "false", "false"),
        ("confirm_score", '{"small_gun": 0.95}', '{"small_gun": 0.95, "big_gun": 0.8}'),
        ("confirm_score", "null", "0.8"),
        ("cooldown_s", "3", "3.0"),
    ):
        assert await cli(rig, "set", "yard", key, given) == (0, f"yard: {key} is {holds}\n")
    code, out = await cli(rig, "set", "yard", "confirm_score", "7")
    assert (code, "refused: confirm_score of yard stays 0.8" in out) == (1, True)
    assert (await cli(rig, "set", "yard", "armed", "off"))[0] == 2
    assert (await cli(rig, "set", "yard", "volume", "7"))[0] == 2


async def test_a_setting_that_is_said_again_meanwhile_is_not_taken_for_a_refusal(
    broker: Broker,
) -> None:
    bus = Bus(broker.mqtt(), service="classifier")
    asked = bus.subscribe(topics.SET)
    async with opened(bus):

        async def answer() -> None:
            async for delivery in asked:
                for each in (30.0, delivery.message):
                    await bus.publish(topics.CONFIG, each, **delivery.levels)

        answering = asyncio.create_task(answer())
        try:
            assert await setting._set(broker.mqtt(), "yard", "cooldown_s", 3.0) == (3.0,)
        finally:
            answering.cancel()


async def test_the_command_line_says_what_an_alert_was(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(rig.alerts)
    alert_id = rig.alerts()[0].id
    config = ("--config", str(rig.config))
    code, out = await cli(rig, "feedback", "last", "false_alarm", "--label", "phone", *config)
    assert (code, out) == (0, f"Told: {alert_id} was a false alarm, phone.\n")
    await rig.until(lambda: rig.rows("SELECT * FROM feedback"))
    assert rig.rows("SELECT alert_id, truth, label FROM feedback") == [
        (alert_id, "false_alarm", "phone")
    ]
    assert (
        "no alert nothing is kept"
        in (await cli(rig, "feedback", "nothing", "true_alarm", *config))[1]
    )
    code, out = await cli(rig, "feedback", "nothing", "true_alarm")
    assert (code, "'nothing' is no alert's id" in out) == (1, True)


async def test_a_retained_command_is_refused_at_the_next_start(rig: Rig) -> None:
    client = rig.bus._connection.client  # type: ignore[union-attr]
    client.publish("secondlook/set/yard/armed", b"false", qos=1, retain=True)
    await rig.until(lambda: value(rig, "armed") is False)
    await rig.command("armed", value=True)
    await rig.until(lambda: value(rig, "armed") is True)
    await rig.delivered()
    await rig.die()
    await rig.live()
    await rig.until(lambda: commands(rig, "armed", "refused") == 1)
    assert value(rig, "armed") is True


async def test_a_setting_survives_a_killed_classifier_and_a_broker_that_forgot_everything(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    async with rigged(broker, verdicts_server, tmp_path) as rig:
        await rig.started()
        await rig.show(RED, RED)
        await rig.until(lambda: rig.state("small_gun") == "ON")
        await rig.command("armed", value=False)
        await rig.until(lambda: value(rig, "armed") is False)
        await asyncio.to_thread(rig.end)  # SIGKILL

        rig.heard.clear()
        await rig.started()
        await rig.until(lambda: said(rig, "cooldown_s") and rig.state("small_gun"))
        assert value(rig, "armed") is False
        assert rig.state("small_gun") == "OFF"

        broker.kill()
        broker.forget()
        rig.heard.clear()
        broker.start()
        await rig.until(lambda: said(rig, "armed") and said(rig, "cooldown_s"), 60)
        assert value(rig, "armed") is False
        await rig.insist(lambda: rig.show(RED), rig.verdicts)
        assert rig.alerts() == []
