"""What people say about alerts, over a real broker: recorded, repeated, unknown, counted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from secondlook import topics
from secondlook.local.tritonserver import Server
from secondlook.messages import Alert, Feedback
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import BLUE, RED, Rig, rigged

pytestmark = pytest.mark.integration
SAID = "SELECT alert_id, truth, label FROM feedback ORDER BY seq"


@pytest.fixture
async def rig(broker: Broker, verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(broker, verdicts_server, tmp_path) as one:
        await one.live()
        yield one


async def say(rig: Rig, alert_id: str, truth: Any, label: str | None = None) -> None:
    await rig.bus.publish(topics.FEEDBACK, Feedback(id=alert_id, truth=truth, label=label))


def number(rig: Rig, name: str, **labels: str) -> float:
    return rig.context.registry.get_sample_value(f"secondlook_classifier_{name}", labels) or 0.0


def judged(rig: Rig, camera: str) -> tuple[float, float]:
    """True and false alarms."""
    truths = ("true_alarm", "false_alarm")
    true, false = (number(rig, "alerts_judged", camera=camera, truth=truth) for truth in truths)
    return true, false


async def three_alerts(rig: Rig) -> list[Alert]:
    """Return two alerts of the yard and one of the door; one after another: cameras take turns."""
    await rig.show(RED, RED)
    await rig.until(lambda: len(rig.alerts()) == 1)
    await rig.show(BLUE, BLUE, track="40")
    await rig.until(lambda: len(rig.alerts()) == 2)
    await rig.show(RED, RED, camera="door", track="3")
    await rig.until(lambda: len(rig.alerts()) == 3)
    return rig.alerts()


async def test_precision_is_counted_by_camera_and_outlives_a_restart(rig: Rig) -> None:
    first, second, other = await three_alerts(rig)
    await say(rig, first.id, "true_alarm")
    await say(rig, second.id, "false_alarm", "umbrella")
    await say(rig, other.id, "false_alarm")
    await rig.until(lambda: (judged(rig, "yard"), judged(rig, "door")) == ((1, 1), (0, 1)))
    assert rig.rows(SAID) == [
        (first.id, "true_alarm", None),
        (second.id, "false_alarm", "umbrella"),
        (other.id, "false_alarm", None),
    ]
    await rig.die()
    await rig.live()
    await rig.until(lambda: (judged(rig, "yard"), judged(rig, "door")) == ((1, 1), (0, 1)))


async def test_what_is_said_again_counts_once_and_the_last_word_counts(rig: Rig) -> None:
    alert, *_ = await three_alerts(rig)
    for _ in range(3):
        await say(rig, alert.id, "true_alarm")
    await rig.until(lambda: number(rig, "feedback_total", camera="yard", outcome="again") == 2)
    await rig.until(lambda: judged(rig, "yard") == (1, 0))
    await say(rig, alert.id, "false_alarm", "phone")
    await rig.until(lambda: judged(rig, "yard") == (0, 1))
    assert number(rig, "feedback_total", camera="yard", outcome="recorded") == 2
    assert rig.rows(SAID) == [(alert.id, "true_alarm", None), (alert.id, "false_alarm", "phone")]


async def test_alerts_that_never_were_and_tests_do_not_count(rig: Rig) -> None:
    await rig.command("test_alert", {})
    await rig.until(rig.alerts)
    for alert_id in ("yard-" + "0" * 26, "nowhere-" + "0" * 26, rig.alerts()[0].id):
        await say(rig, alert_id, "true_alarm")
    await rig.until(lambda: number(rig, "feedback_total", camera="yard", outcome="unknown") == 2)
    assert number(rig, "feedback_total", camera="", outcome="unknown") == 1
    await rig.show(RED, RED)
    await rig.until(lambda: [alert for alert in rig.alerts() if not alert.test])
    alert = rig.alerts()[-1]
    await say(rig, alert.id, "true_alarm")
    await rig.until(lambda: judged(rig, "yard") == (1, 0))
