"""What commands change, with a real database: stored with their effect, and found again."""

import json
from pathlib import Path
from typing import Any

import pytest

from classifier_svc.schema import MIGRATIONS
from secondlook.adapters.database import Database
from secondlook.errors import Unreadable
from tests.classifier_svc.scene import START, ns
from tests.classifier_svc.test_desk import BEGIN, NEW, Office, office

DISARMED = ["config", "alerts end", "last", "state OFF"]


async def configs(one: Office) -> list[tuple[str, Any]]:
    """What the outbox says about settings, in order."""
    rows = await one.database.read(
        lambda db: db.execute(
            "SELECT levels, payload FROM outbox WHERE topic LIKE 'config/%' ORDER BY seq"
        ).fetchall()
    )
    return [(json.loads(levels)["key"], json.loads(payload)) for levels, payload in rows]


async def settings_stored(one: Office) -> dict[str, Any]:
    rows = await one.database.read(
        lambda db: db.execute("SELECT key, value FROM memory WHERE kind = 'setting'").fetchall()
    )
    return {key: json.loads(value) for key, value in rows}


async def test_at_the_start_every_value_in_force_is_said(tmp_path: Path) -> None:
    async with office(tmp_path, alerts={"cooldown_s": 7}) as one:
        assert await configs(one) == [("armed", True), ("confirm_score", 0.8), ("cooldown_s", 7.0)]


async def test_disarming_its_end_and_its_answer_are_one_transaction(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        before = one.database.stats.commits
        await one.desk.set("yard", "armed", value=False)
        assert one.database.stats.commits == before + 1
        assert await one.said() == [*BEGIN, *NEW, *DISARMED]
        assert await settings_stored(one) == {"armed": False}
        await one.judge((0.4, "s"), (0.6, "s"))
        assert await one.said() == [*BEGIN, *NEW, *DISARMED], "it raises no alert"


async def test_a_value_survives_a_restart_and_null_forgets_it(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.desk.set("yard", "armed", value=False)
        await one.desk.set("yard", "cooldown_s", 3)
        await one.desk.set("yard", "confirm_score", {"big_gun": 0.9})
    async with office(tmp_path) as two:
        assert (await configs(two))[-3:] == [
            ("armed", False),
            ("confirm_score", {"small_gun": 0.8, "big_gun": 0.9}),
            ("cooldown_s", 3.0),
        ]
        assert two.desk.rule_of("yard").score_needed("big_gun") == 0.9
        await two.judge((0, "s"), (0.2, "s"))
        assert "alerts new" not in await two.said()
        for key in ("armed", "confirm_score", "cooldown_s"):
            await two.desk.set("yard", key, None)
        assert await settings_stored(two) == {}
    async with office(tmp_path) as three:
        assert (await configs(three))[-3:] == [
            ("armed", True),
            ("confirm_score", 0.8),
            ("cooldown_s", 30.0),
        ]


async def test_a_refused_value_changes_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        with pytest.raises(Unreadable, match="cooldown_s must be"):
            await one.desk.set("yard", "cooldown_s", "long")
        assert await settings_stored(one) == {}
        await one.desk.set("yard", "cooldown_s", 1)
        assert await settings_stored(one) == {"cooldown_s": 1}


async def test_a_command_whose_commit_never_came_has_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process ends right here."""

    async def fails(_work: Any) -> None:
        raise Killed

    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        monkeypatch.setattr(one.database, "write", fails)
        with pytest.raises(Killed):
            await one.desk.set("yard", "armed", value=False)
        monkeypatch.undo()
    async with office(tmp_path) as two:
        assert two.desk.in_force("yard", "armed") is True
        assert "alerts end" not in await two.said()
        assert (await two.said())[-len(BEGIN) :] == ["state ON", *BEGIN[1:]]


async def test_armed_again_after_a_restart_it_counts_new_looks_alone(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.desk.set("yard", "armed", value=False)
        one.now_ns = START + ns(0.5)
        await one.desk.set("yard", "armed", value=True)
    async with Database(tmp_path / "a", MIGRATIONS) as database:
        two = Office(database, tmp_path)
        two.now_ns = START + ns(1)
        await two.open()
        await two.judge((0.3, "s"), (0.4, "s"))
        assert "alerts new" not in await two.said()
        await two.judge((0.6, "s"), (0.8, "s"))
        assert (await two.said())[-len(NEW) :] == NEW


async def test_arming_what_is_armed_forgets_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"))
        await one.desk.set("yard", "armed", value=True)
        await one.judge((0.2, "s"))
        assert "alerts new" in await one.said()
