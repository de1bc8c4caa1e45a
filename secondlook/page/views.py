"""What the browser gets of each message: plain JSON, with what people want to know. Pure.

Moments are Unix seconds; boxes are fractions of the picture, so that they fit any size of it.
"""

from datetime import datetime

from pydantic import JsonValue

from secondlook.messages import Alert, Blind, Box, Classified, Counters, FrameFacts, Verdict

MOST_SCORES = 6
"""Of a classifier with a thousand labels nobody reads more."""

View = dict[str, JsonValue]


def seconds(moment: datetime) -> float:
    """Return a moment as Unix seconds, to the millisecond."""
    return round(moment.timestamp(), 3)


def box_view(box: Box, frame: FrameFacts) -> list[JsonValue]:
    """Return left, top, width and height as fractions of the frame."""
    width, height = max(1, frame.width), max(1, frame.height)
    parts = (box.x1 / width, box.y1 / height, box.width / width, box.height / height)
    return [round(part, 4) for part in parts]


def scores_view(classified: Classified | None) -> list[JsonValue]:
    """Return the best labels with their scores, the best first."""
    scores = classified.scores if classified else {}
    best = sorted(scores.items(), key=lambda item: -item[1])[:MOST_SCORES]
    return [[label, round(score, 3)] for label, score in best]


def alert_view(alert: Alert, *, picture: bool, truth: str | None) -> View:
    """Return an alert.

    Args:
        alert: Its newest message.
        picture: Whether its picture is at hand.
        truth: What a human said that it was.
    """
    return {
        "id": alert.id,
        "camera": alert.camera,
        "label": alert.label,
        "score": round(alert.score, 3),
        "status": alert.status,
        "open": alert.event != "end",
        "started": seconds(alert.started_at),
        "updated": seconds(alert.updated_at),
        "ended": seconds(alert.ended_at) if alert.ended_at else None,
        "reason": alert.reason,
        "late": alert.late,
        "test": alert.test,
        "box": box_view(alert.box, alert.frame),
        "detector": {
            "model": alert.detector.model,
            "label": alert.detector.label,
            "score": round(alert.detector.score, 3),
        },
        "classifier": alert.classifier.model if alert.classifier else None,
        "scores": scores_view(alert.classifier),
        "rule": alert.decision.rule,
        "votes": [alert.decision.confirmed, alert.decision.rejected, alert.decision.uncertain],
        "decided_ms": round(alert.latency_ms.decided),
        "picture": alert.snapshot_id if picture else None,
        "truth": truth,
    }


def look_view(verdict: Verdict) -> View:
    """Return a look."""
    return {
        "camera": verdict.camera,
        "at": seconds(verdict.frame.captured_at),
        "frame": verdict.frame.id,
        "box": box_view(verdict.box, verdict.frame),
        "outcome": verdict.outcome,
        "label": verdict.label,
        "score": round(verdict.score, 3),
        "reason": verdict.reason,
        "detector": {
            "label": verdict.detector.label,
            "score": round(verdict.detector.score, 3),
        },
        "late": verdict.late,
    }


def blind_view(blind: Blind) -> View:
    """Return a time in which a camera could not be seen."""
    return {
        "camera": blind.camera,
        "from": seconds(blind.from_),
        "to": seconds(blind.to),
        "why": blind.why,
    }


def counters_view(counters: Counters) -> View:
    """Return what a camera saw on a day."""
    return {
        "date": counters.date,
        "alerts": counters.alerts,
        "rejections": counters.rejections,
        "unverified": counters.unverified,
        "looks": counters.looks,
    }
