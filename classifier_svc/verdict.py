"""What one look says: confirmed, rejected or uncertain. Knows neither tracks nor time."""

from collections.abc import Mapping
from dataclasses import dataclass

from secondlook.config import Alerts, slug
from secondlook.messages import Outcome
from secondlook.model_spec import ModelParameters

UNUSABLE = "the model's answer holds no usable scores"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of one look and why."""

    outcome: Outcome
    label: str
    """The best label, as the model names it."""
    score: float
    """Its score, 0..1."""
    reason: str
    """The rule that decided, in words."""


def judge(
    scores: Mapping[str, float] | None, alerts: Alerts, parameters: ModelParameters
) -> Judgement:
    """Judge one look.

    Confirmed: the best label is an alert label with at least its `confirm_score`. Rejected:
    another label is best with at least `reject_score`, or the model's `fallback_label` stands
    in for a best score below `fallback_below`. Uncertain: anything else.

    Args:
        scores: One score (0..1) for each label of the model, not empty; None when the model
            answered numbers that are no scores.
        alerts: The labels that alert, as slugs, and the scores needed.
        parameters: Of the model: `labels`, `fallback_label` and `fallback_below` are read.
    """
    if not scores:
        return Judgement("uncertain", (parameters.labels or ("unknown",))[0], 0.0, UNUSABLE)
    # Of equal scores the label that the model names first wins, as with argmax.
    best = max(scores, key=lambda label: scores[label])
    score = scores[best]
    fallback, below = parameters.fallback_label, parameters.fallback_below
    if fallback is not None and below is not None and score < below:
        why = f"the best score, {best} {score:.2f}, is below {below:.2f}: it counts as {fallback}"
        outcome: Outcome = "uncertain" if slug(fallback) in alerts.labels else "rejected"
        return Judgement(outcome, fallback, scores.get(fallback, 0.0), why)
    if slug(best) in alerts.labels:
        needed = alerts.score_needed(slug(best))
        if score >= needed:
            return Judgement(
                "confirmed", best, score, f"{best} {score:.2f} is at least {needed:.2f}"
            )
        return Judgement(
            "uncertain", best, score, f"{best} {score:.2f} is best but below {needed:.2f}"
        )
    if score >= alerts.reject_score:
        return Judgement("rejected", best, score, f"{best} {score:.2f} is best and does not alert")
    why = f"{best} {score:.2f} is best but below {alerts.reject_score:.2f}"
    return Judgement("uncertain", best, score, why)
