"""The report as JSON: everything that the page shows, for programs. Pure."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.evaluate import labelled
from training.evaluate.clips_page import Sweeps
from training.evaluate.measures import Figures, Measures, Told, confusion
from training.evaluate.run import Run
from training.evaluate.sweeps import Point
from training.evaluate.words import facts

SCHEMA = "secondlook/evaluation/1"


def heading(run: Run, figures: Figures) -> dict[str, Any]:
    """Return what every report begins with."""
    return {
        "schema": SCHEMA,
        "mode": run.started.mode,
        "complete": run.complete,
        "figures": figures,
        "lost": run.finished.lost if run.finished else {},
        "played": dict(facts(run)),
    }


def of_clips(measures: Measures, figures: Figures, sweeps: Sweeps | None) -> dict[str, Any]:
    """Return the report of clips or photographs."""
    swept = (
        {}
        if sweeps is None
        else {
            "detector_score": [_point(p) for p in sweeps.two],
            "detector_score_one_stage": [_point(p) for p in sweeps.one],
            "confirm_score": [_point(p) for p in sweeps.confirm],
            "rule": [_point(p) for p in sweeps.rule],
        }
    )
    return {
        **heading(measures.run, figures),
        "episodes": [_episode(told) for told in measures.told],
        "false_alarms": [
            {"clip": Path(clip.played.path).name, "label": alarm.label, "at_s": alarm.at_s}
            for clip, alarm in measures.false_alarms
        ],
        "clips": [
            {
                "clip": Path(m.clip.played.path).name,
                "seconds": m.clip.seconds,
                "frames": len(m.clip.frames),
                "crops": len(m.clip.crops),
                "new_alerts": len(m.alarms),
                "matched_by": "boxes" if m.things.exact else "time",
            }
            for m in measures.materials
        ],
        "confusion": confusion(measures.seen),
        "sweeps": swept,
    }


def of_images(run: Run) -> dict[str, Any]:
    """Return the report of labelled pictures."""
    found = labelled.pictures(run)
    wrong = [p for p in found if not p.right]
    return {
        **heading(run, labelled.figures(run)),
        "confusion": labelled.confusion(found),
        "wrong": [
            {"picture": p.path, "truth": p.truth, "label": p.label, "score": p.score} for p in wrong
        ],
    }


def _episode(told: Told) -> dict[str, Any]:
    outcome = told.outcome
    return {
        "clip": Path(told.clip.played.path).name,
        "label": outcome.episode.label,
        "card": outcome.episode.card,
        "start_s": outcome.episode.start_s,
        "end_s": outcome.episode.end_s,
        "alerts": len(outcome.alarms),
        "reopened": told.reopened,
        "mislabelled": len(outcome.mislabelled),
        "delay_s": told.delay_s,
        "decision_s": told.decision_s,
    }


def _point(point: Point) -> dict[str, Any]:
    return {**asdict(point), "recall": point.found.value, "false_alarms_per_hour": point.per_hour}
