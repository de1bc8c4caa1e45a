"""Rows beside the desk: what may grow by messages from outside stays bounded."""

import sqlite3

import pytest

from classifier_svc import records
from classifier_svc.schema import MIGRATIONS
from secondlook.messages import Feedback


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
