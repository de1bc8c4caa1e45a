"""The review set between a real broker, a real Triton and a real database."""

import contextlib
import json
import sqlite3
import stat
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from secondlook import topics
from secondlook.adapters.review_folder import ReviewFolder
from secondlook.cli import main
from secondlook.local.tritonserver import Server
from secondlook.messages import Feedback
from secondlook.review_set import ALERTS, UNSORTED, Kept
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import GREEN, RED, WHITE, Rig, rigged

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(broker: Broker, verdicts_server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    review = {"enabled": True, "folder": "review"}
    async with rigged(broker, verdicts_server, tmp_path, review=review) as one:
        await one.live()
        yield one


def kept(rig: Rig) -> list[Kept]:
    return ReviewFolder(rig.folder / "review").scan()


def labels(rig: Rig) -> Counter[str]:
    return Counter(each.label for each in kept(rig))


async def test_rejected_uncertain_and_alerting_crops_land_in_private_files(rig: Rig) -> None:
    await rig.show(GREEN, track="1")
    await rig.show(WHITE, track="2")
    await rig.show(RED, RED, track="3")
    expected = {"phone": 1, UNSORTED: 1, ALERTS: 1}
    await rig.until(lambda: labels(rig) == expected and len(rig.alerts()) == 1)
    [phone] = [each for each in kept(rig) if each.label == "phone"]
    assert phone.note is not None
    assert (phone.note.outcome, phone.note.camera, phone.note.id) == (
        "rejected", "yard", "yard-1.1"
    )  # fmt: skip
    assert set(phone.note.classifier.scores) == {
        "small_gun", "big_gun", "phone", "umbrella", "empty"
    }  # fmt: skip
    paths = list((rig.folder / "review").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o700, 0o600}


async def test_feedback_and_the_command_line_move_crops_to_what_people_say(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(lambda: labels(rig)[ALERTS] == 1 and rig.alerts())
    alert = rig.alerts()[0]
    told = Feedback(id=alert.id, truth="false_alarm", label="umbrella")
    await rig.bus.publish(topics.FEEDBACK, told)
    await rig.until(lambda: labels(rig) == {"umbrella": 1})
    # The alert itself is untouched by what the files do.
    assert [each.event for each in rig.alerts()] == ["new"]

    def review(*words: str) -> str:
        config = ("--config", str(rig.config))
        result = CliRunner().invoke(main, ["review", words[0], *config, *words[1:]])
        assert result.exit_code == 0, result.output
        return result.output

    [listed] = [json.loads(line) for line in review("list", "--json").splitlines()]
    assert listed["note"]["alert"] == alert.id
    assert listed["note"]["labelled_by"] == "feedback"
    review("relabel", listed["id"], "phone")
    assert labels(rig) == {"phone": 1}
    # What a human said crop by crop is not overruled by what is said about the alert.
    await rig.bus.publish(topics.FEEDBACK, told)
    await rig.show(GREEN, track="2")
    await rig.until(lambda: len(rig.verdicts()) == 3)
    assert labels(rig)["umbrella"] == 0


async def test_feedback_that_a_crash_cut_short_is_obeyed_at_the_next_start(rig: Rig) -> None:
    await rig.show(RED, RED)
    await rig.until(lambda: labels(rig)[ALERTS] == 1 and rig.alerts())
    await rig.die()
    with contextlib.closing(sqlite3.connect(rig.database)) as db:
        for truth in ("false_alarm", "true_alarm"):
            row = (rig.alerts()[0].id, truth, None, 1)
            db.execute("INSERT INTO feedback (alert_id, truth, label, at_ns) VALUES (?,?,?,?)", row)
        db.commit()
    await rig.live()
    await rig.until(lambda: labels(rig) == {"small_gun": 1})


async def test_a_disk_that_takes_nothing_delays_no_alert(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    review = {"enabled": True, "folder": "taken/review"}
    async with rigged(broker, verdicts_server, tmp_path, review=review) as rig:
        await rig.live()
        await rig.show(GREEN, track="1")
        await rig.show(RED, RED, track="2")
        await rig.until(rig.alerts)
        # Another thread writes, and finds that it cannot, when it comes to it.
        await rig.until(lambda: "crops for review are not written" in rig.log.read_text())
