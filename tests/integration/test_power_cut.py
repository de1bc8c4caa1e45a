"""The power goes at any moment: what was acknowledged is there, nothing is there by half.

A kill keeps the page cache, so it is no power cut. Here copies of the real classifier's database
and its log are cut, and rotten behind the cut, as a disk may leave them.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from classifier_svc.desk import Judged
from classifier_svc.verdict import Judgement
from tests.classifier_svc.scene import look
from tests.classifier_svc.test_desk import Office, crop_of, office

pytestmark = pytest.mark.integration

SEED = 20_261_123
ROUNDS = 24
CUTS = 200
FRAME_BYTES = 4096 + 24
CHECKPOINT_PAGES = 1000
JUDGEMENT = Judgement("confirmed", "small_gun", 0.9, "because")


class Moment(NamedTuple):
    """What was on the disk when a call returned."""

    log_bytes: int
    state: Any


def state_of(db: sqlite3.Connection) -> Any:
    return (
        db.execute("SELECT seq, topic, payload FROM outbox ORDER BY seq").fetchall(),
        db.execute("SELECT key, done_ns IS NULL FROM inbox ORDER BY seq").fetchall(),
        db.execute("SELECT * FROM memory ORDER BY camera, kind, key").fetchall(),
    )


def size_of(log: Path) -> int:
    return log.stat().st_size


async def lived(one: Office, log: Path) -> list[Moment]:
    """Let a classifier work; return what it had been told to be stored, step by step."""
    moments = []

    async def note() -> None:
        moments.append(Moment(size_of(log), await one.database.read(state_of)))

    await note()
    for number in range(ROUNDS):
        where = (50 * number, 100, 50 * number + 40, 140)
        looks = [
            look(number / 30 + part / 300, "sr"[number % 4 == 3], track=str(number), where=where)
            for part in range(3)
        ]
        await one.receive(*(crop_of(each) for each in looks))
        await note()
        entries = {entry.key: entry for entry in one.inbox.waiting.crops()}
        await one.desk.decide([Judged(entries[e.id], e, JUDGEMENT) for e in looks], model_up=True)
        await note()
        await one.desk.tick(model_up=True, heartbeat=True)
        await note()
    assert size_of(log) < CHECKPOINT_PAGES * FRAME_BYTES, "the log began anew meanwhile"
    return moments


def cuts(log: bytes, chance: random.Random) -> Iterator[tuple[int, bytes]]:
    """Yield how much of a log is whole, and what the disk shows of it."""
    for number in range(CUTS):
        at = chance.randrange(len(log) + 1)
        if number % 4 == 0:  # just where a page ends
            at -= (at - 32) % FRAME_BYTES if at > 32 else 0
        rest = bytearray(log[at:])
        match number % 3:
            case 0:
                rest.clear()
            case 1:  # later sectors without the earlier ones
                rest[: min(len(rest), 512)] = bytes(min(len(rest), 512))
            case 2:
                for _ in range(min(20, len(rest))):
                    rest[chance.randrange(min(len(rest), 9000))] ^= 1 << chance.randrange(8)
        yield at, log[:at] + bytes(rest)


async def test_a_cut_anywhere_leaves_a_whole_state_with_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    async with office(tmp_path) as one:
        moments = await lived(one, tmp_path / "a-wal")
        base, log = (tmp_path / "a").read_bytes(), (tmp_path / "a-wal").read_bytes()
    assert len(moments[-1].state[0]) > 3 * ROUNDS, "there was something to lose"
    states = [moment.state for moment in moments]
    lost = 0
    for number, (whole, left) in enumerate(cuts(log, chance)):
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        (folder / "a").write_bytes(base)
        (folder / "a-wal").write_bytes(left)
        acknowledged = sum(moment.log_bytes <= whole for moment in moments) - 1
        with closing(sqlite3.connect(folder / "a")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if acknowledged < 0:
                continue  # not even the tables had been acknowledged
            found = state_of(db)
        assert found in states, f"cut {number} at {whole} left something by half, or invented"
        # A heartbeat changes nothing of it, so of equal states the last one counts.
        where = max(place for place, state in enumerate(states) if state == found)
        assert where >= acknowledged, f"cut {number} at {whole} lost what was acknowledged"
        lost += where < len(states) - 1
        if number % 20 == 0:
            async with office(folder) as next_one:
                again = await next_one.database.read(state_of)
            assert [row for row in again[0] if row[1].startswith("alerts/")] == [
                row for row in found[0] if row[1].startswith("alerts/")
            ], "a restart invents no alert and loses none"
    assert lost > CUTS // 2, "the cuts were no cuts"
