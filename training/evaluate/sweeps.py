"""What other thresholds would have done: recall and false alarms of replays. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from secondlook.config import Alerts
from training.evaluate.matching import match
from training.evaluate.measures import HOUR_S, Material, Measures, alone
from training.evaluate.replay import Setting, replay
from training.evaluate.statistics import Share

DETECTOR_SCORES = (
    *(0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3),
    *(0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
)
CONFIRM_SCORES = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class Point:
    """What one setting would have given."""

    min_score: float
    confirm_score: float
    k: int
    n: int
    one_stage: bool
    found: Share
    false_alarms: int
    hours: float
    crops: int
    """Crops at this threshold of the detector."""

    @property
    def per_hour(self) -> float | None:
        """False alarms per hour."""
        return self.false_alarms / self.hours if self.hours else None


def try_out(measures: Measures, setting: Setting) -> Point:
    """Replay every clip with other thresholds."""
    rule = setting.rule
    found = whole = false = crops = 0
    for material in measures.materials:
        started = measures.run.started
        if setting.one_stage:
            matched = alone(material.things, material.evidence, setting, started)
        else:
            alarms = replay(material.evidence, setting, started.parameters)
            matched = match(material.things, alarms, rule.labels)
        whole += len(matched.outcomes)
        found += sum(bool(outcome.alarms) for outcome in matched.outcomes)
        false += len(matched.false)
        crops += _crops(material, setting.min_score)
    return Point(
        min_score=setting.min_score,
        confirm_score=_one_score(rule),
        k=rule.k,
        n=rule.n,
        one_stage=setting.one_stage,
        found=Share(found, whole),
        false_alarms=false,
        hours=sum(m.clip.seconds for m in measures.materials) / HOUR_S,
        crops=crops,
    )


def _crops(material: Material, min_score: float) -> int:
    return sum(look.crop.detector.score >= min_score for look in material.clip.looks)


def _one_score(rule: Alerts) -> float:
    return min(rule.score_needed(label) for label in rule.labels)


def by_detector_score(measures: Measures, *, one_stage: bool) -> list[Point]:
    """Return points for thresholds of the detector, none below the one that was played."""
    started = measures.run.started
    scores = sorted(
        {started.min_score, max(started.min_score, started.operating_point)}
        | {score for score in DETECTOR_SCORES if score > started.min_score}
    )
    return [
        try_out(measures, Setting(started.alerts, score, one_stage=one_stage)) for score in scores
    ]


def by_confirm_score(measures: Measures) -> list[Point]:
    """Return points for thresholds of the classifier, at the detector's operating point."""
    started = measures.run.started
    point = max(started.min_score, started.operating_point)
    scores = sorted({*CONFIRM_SCORES, _one_score(started.alerts)})
    return [
        try_out(
            measures,
            Setting(started.alerts.model_copy(update={"confirm_score": score}), point),
        )
        for score in scores
    ]


def by_rule(measures: Measures) -> list[Point]:
    """Return points for other `k` of `n`, with no more looks than were taken."""
    started = measures.run.started
    point = max(started.min_score, started.operating_point)
    return [
        try_out(measures, Setting(started.alerts.model_copy(update={"k": k, "n": n}), point))
        for n in range(1, started.alerts.n + 1)
        for k in range(1, n + 1)
    ]


def in_force(points: Sequence[Point], score: float) -> Point | None:
    """Return the point of a detector threshold."""
    return next((point for point in points if point.min_score == score), None)
