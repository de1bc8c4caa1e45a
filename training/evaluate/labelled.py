"""What the classifier makes of labelled pictures, one by one. Pure."""

from collections import Counter
from dataclasses import dataclass

from secondlook.config import slug
from secondlook.messages import Verdict
from training.evaluate.measures import Figures
from training.evaluate.run import Run
from training.evaluate.statistics import (
    Share,
    average_precision,
    calibration,
    calibration_error,
    precision_recall,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A labelled picture and its verdict."""

    truth: str
    """Its folder's name, as a slug."""
    path: str
    verdict: Verdict
    label: str
    """The best label, as a slug."""
    score: float
    alert_score: float
    """The best score among the labels that alert."""

    @property
    def right(self) -> bool:
        """Whether the best label is its folder's."""
        return self.label == self.truth


def pictures(run: Run) -> list[Picture]:
    """Return the pictures that were judged."""
    found = []
    for key, verdict in run.labelled_verdicts.items():
        scores = {slug(label): score for label, score in verdict.classifier.scores.items()}
        found.append(
            Picture(
                truth=slug(run.labelled[key].label),
                path=run.labelled[key].picture,
                verdict=verdict,
                label=slug(verdict.label),
                score=verdict.score,
                alert_score=max(scores.get(label, 0.0) for label in run.started.alerts.labels),
            )
        )
    return found


def figures(run: Run) -> Figures:
    """Return the figures that a limit may be set for, by name."""
    found = pictures(run)
    alert_labels = run.started.alerts.labels
    guns = [p for p in found if p.truth in alert_labels]
    rest = [p for p in found if p.truth not in alert_labels]
    bins = calibration([(p.score, p.right) for p in found])
    curve = precision_recall([(p.alert_score, p.truth in alert_labels) for p in found])
    return {
        "pictures": len(found),
        "not_judged": len(run.labelled) - len(found),
        "accuracy": Share(sum(p.right for p in found), len(found)).value,
        "alert_pictures": len(guns),
        "alert_pictures_confirmed": Share(
            sum(p.verdict.outcome == "confirmed" for p in guns), len(guns)
        ).value,
        "other_pictures": len(rest),
        "other_pictures_confirmed": sum(p.verdict.outcome == "confirmed" for p in rest),
        "other_pictures_removed": Share(
            sum(p.verdict.outcome != "confirmed" for p in rest), len(rest)
        ).value,
        "average_precision": average_precision(curve),
        "calibration_error": calibration_error(bins),
    }


def confusion(found: list[Picture]) -> dict[str, Counter[str]]:
    """Return for each truth how often each best label and each outcome was said."""
    table: dict[str, Counter[str]] = {}
    for each in found:
        row = table.setdefault(each.truth, Counter())
        row[each.label] += 1
        row[f"={each.verdict.outcome}"] += 1
    return table


def unknown_labels(run: Run) -> list[str]:
    """Return the names of folders that are no label of the classifier."""
    known = {slug(label) for label in run.started.parameters.labels or ()}
    return sorted({p.truth for p in pictures(run)} - known)
