"""Rows beside the desk: what may grow by messages from outside stays bounded."""

import sqlite3
from pathlib import Path

import pytest

from classifier_svc import records
from classifier_svc.schema import MIGRATIONS
from secondlook.messages import Feedback


def test_free_pages_are_given_back_as_many_as_asked_for(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "a", isolation_level=None)
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("CREATE TABLE big (payload BLOB)")
    db.executemany("INSERT INTO big VALUES (?)", [(bytes(3000),)] * 50)
    db.execute("DELETE FROM big")

    def free() -> int:
        return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    before = free()
    records.give_back(db, 10)
    assert free() == before - 10
    records.give_back(db)
    assert free() == 0
    db.close()


def test_feedback_keeps_its_newest_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FEEDBACK_KEPT", 5)
    db = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        db.executescript(script)
    for number in range(20):
        feedback = Feedback(id=f"yard-{number:026d}", truth="true_alarm")
        records.add_feedback(db, feedback, number)

    kept = [feedback.id for feedback in records.newest_feedback(db, 100)]
    db.close()

    assert kept == [f"yard-{number:026d}" for number in range(15, 20)]
