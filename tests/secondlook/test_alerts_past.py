"""Alerts of the past, read from a real classifier's database while it is open, and after."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from classifier_svc.records import add_feedback
from secondlook.adapters.history import History
from secondlook.cli import main
from secondlook.commands.told import FIELDS, Choice, Told, described, meant, seconds, together
from secondlook.errors import DatabaseError
from secondlook.jpeg import comment_of
from secondlook.messages import Alert, Feedback
from secondlook.samples import ALERT
from tests.classifier_svc.test_desk import Office, office, seen


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["alerts", *arguments])


async def an_episode(one: Office) -> str:
    await one.judge((0, "s"), (0.2, "s"))
    await one.receive(*(seen(second) for second in range(9)))
    await one.desk.decide([], model_up=True)
    rows = await one.database.read(
        lambda db: db.execute("SELECT alert_id FROM outbox WHERE alert_id IS NOT NULL").fetchall()
    )
    return str(rows[-1][0])


def rows_of(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


async def test_list_shows_alerts_while_the_classifier_writes(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        alert_id = await an_episode(one)
        await one.database.write(
            lambda db: add_feedback(
                db, Feedback(id=alert_id, truth="false_alarm", label="umbrella"), 1
            )
        )
        result = call("list", "--database", str(tmp_path / "a"))
        assert result.exit_code == 0
        for word in ("yard", "small_gun", "0.90", "5.2 s", "gone", "false", alert_id[-8:]):
            assert word in result.output
        [row] = rows_of(call("list", "--json", "--database", str(tmp_path / "a")))
    assert row | {"id": alert_id, "messages": 2, "delivered": False, "reason": "gone"} == row
    assert (row["truth"], row["true_label"], row["duration_s"]) == ("false_alarm", "umbrella", 5.2)


async def test_show_tells_everything_and_writes_the_picture(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        alert_id = await an_episode(one)
    picture = tmp_path / "pictures" / "last.jpg"
    database = ("--database", str(tmp_path / "a"))

    result = call("show", "last", *database, "--picture", str(picture))

    assert result.exit_code == 0, result.output
    for words in (alert_id, "2 of 3 looks", "message 0", "message 1", "gone", "found as suspect"):
        assert words in result.output
    assert comment_of(picture.read_bytes()) == f"{alert_id}.0"
    assert picture.stat().st_mode & 0o077 == 0
    messages = rows_of(call("show", alert_id[-6:], *database, "--json"))
    assert [message["event"] for message in messages] == ["new", "end"]
    missing = call("show", "nothing", *database)
    assert (missing.exit_code, "no alert nothing is kept" in missing.stderr) == (1, True)


async def test_export_writes_a_table_the_messages_and_the_pictures(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        alert_id = await an_episode(one)
    out = tmp_path / "out"
    arguments = ("export", str(out), "--database", str(tmp_path / "a"))
    assert call(*arguments).exit_code == 0
    result = call(*arguments)  # what is there is written over
    assert result.output == f"Wrote 1 alert and 1 of their pictures to {out}.\n"
    [row] = csv.DictReader((out / "alerts.csv").read_text().splitlines())
    assert (row["id"], row["label"], row["truth"]) == (alert_id, "small_gun", "")
    lines = (out / "alerts.jsonl").read_text().splitlines()
    assert [Alert.decode(line).event for line in lines] == ["new", "end"]
    assert comment_of((out / "pictures" / f"{alert_id}.jpg").read_bytes()) == f"{alert_id}.0"
    assert {path.stat().st_mode & 0o077 for path in out.rglob("*")} == {0}


async def test_a_copy_in_a_folder_without_write_access_can_be_read(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        alert_id = await an_episode(one)
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copy(tmp_path / "a", backup / "copy.sqlite3")
    (backup / "copy.sqlite3").chmod(0o400)
    backup.chmod(0o500)
    with History(backup / "copy.sqlite3") as history:
        assert [kept.alert.id for kept in history.messages()] == [alert_id, alert_id]
    backup.chmod(0o700)
    assert [path.name for path in backup.iterdir()] == ["copy.sqlite3"]


def test_what_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_bytes(b"rubbish" * 1000)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE a (b)").connection.close()
    for name, why in (("none", "there is no"), ("rubbish", "cannot be"), ("other", "cannot be")):
        result = call("list", "--database", str(tmp_path / name))
        assert result.exit_code == 1
        assert why in result.stderr
        assert "Traceback" not in result.output


async def test_nothing_can_be_written(tmp_path: Path) -> None:
    async with office(tmp_path):
        pass
    with History(tmp_path / "a") as history, pytest.raises(DatabaseError, match="readonly"):
        history._rows("DELETE FROM outbox")


def told(*alerts: Alert, choice: Choice | None = None) -> list[Told]:
    return together([(alert, True) for alert in alerts], {}, choice or Choice())


def alert(hours: int, camera: str = "front_door", **fields: Any) -> Alert:
    changes: dict[str, Any] = {
        "id": f"{camera}-{hours:026d}",
        "camera": camera,
        "started_at": ALERT.started_at + timedelta(hours=hours),
    }
    return ALERT.model_copy(update=changes | fields)


@pytest.mark.parametrize(
    ("choice", "hours"),
    [
        (Choice(), [0, 1, 2]),
        (Choice(camera="yard"), [1]),
        (Choice(label="big_gun"), [2]),
        (Choice(since=ALERT.started_at + timedelta(hours=1)), [1, 2]),
        (Choice(until=ALERT.started_at + timedelta(hours=1)), [0]),
    ],
)
def test_alerts_are_chosen_by_what_is_asked_for(choice: Choice, hours: Sequence[int]) -> None:
    found = told(alert(2, label="big_gun"), alert(0), alert(1, "yard"), choice=choice)
    assert [int(each.last.id[-2:]) for each in found] == list(hours), "the newest at the end"


def test_messages_of_an_alert_belong_together() -> None:
    end: dict[str, Any] = {
        "event": "end",
        "sequence": 1,
        "ended_at": ALERT.updated_at,
        "reason": "escalated",
    }
    [one] = told(alert(0), alert(0, **end))
    assert (len(one.messages), one.how) == (2, "escalated")
    assert told(alert(0))[0].how == "open"
    assert told(alert(0, test=True))[0].how == "a test"


def test_an_end_that_two_ids_have_is_not_enough() -> None:
    both = told(alert(0), alert(0, "yard"))
    with pytest.raises(ValueError, match="several"):
        meant(both, "0000")
    assert meant(both, "yard-" + "0" * 26).last.camera == "yard"


@pytest.mark.parametrize(
    ("duration_s", "said"),
    [(None, ""), (5.23, "5.2 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7300, "2 h 1 min")],
)
def test_durations_are_said_in_words(duration_s: float | None, said: str) -> None:
    assert seconds(duration_s) == said


def test_without_a_command_it_follows_and_help_names_the_others() -> None:
    page = call("--help")
    assert page.exit_code == 0
    assert all(f"\n  {name}" in page.output for name in ("follow", "list", "show", "export"))
    for arguments in (["--since", "nonsense"], ["follow", "--since", "nonsense"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert "write 90s, 15m, 2h" in result.stderr


@given(
    said=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["front_door", "yard"]),
            st.sampled_from(["new", "update", "end"]),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_no_message_is_lost_when_messages_are_put_together(
    said: list[tuple[int, str, str, bool]],
) -> None:
    messages = [
        (alert(hours, camera, event=event, sequence=number), delivered)
        for number, (hours, camera, event, delivered) in enumerate(said)
    ]
    found = together(messages, {}, Choice())
    assert sorted(a.sequence for one in found for a in one.messages) == list(range(len(said)))
    begun = [one.last.started_at for one in found]
    assert begun == sorted(begun)
    for one in found:
        assert len({a.id for a in one.messages}) == 1
        assert meant(found, one.last.id) is one
        assert list(one.row()) == list(FIELDS)
        assert dict(described(one))["id"] == one.last.id
