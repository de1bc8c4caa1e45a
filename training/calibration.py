"""What a classifier's scores are worth: calibrated, counted, and put into a report. Pure."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

CONFIRM_SCORE = 0.8
"""From this score a look confirms, unless the configuration says otherwise."""
BINS = 10


def softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """Return probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def loss(logits: Floats, truth: Indices) -> float:
    """Return the mean negative logarithm of the true labels' probabilities."""
    rows = np.arange(len(truth))
    return float(-np.log(softmax(logits)[rows, truth] + 1e-9).mean())


def temperature(logits: Floats, truth: Indices) -> float:
    """Return the divisor of the logits that makes the scores most probable, 0.3 to 4.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.

    Args:
        logits: (n, labels).
        truth: (n,) indices of the true labels.
    """
    choices = np.exp(np.linspace(np.log(0.3), np.log(4.0), 120))
    return float(min(choices, key=lambda choice: loss(logits / np.float32(choice), truth)))


def report(
    scores: Floats, truth: Indices, labels: Sequence[str], alerting: Collection[str] = ()
) -> dict[str, Any]:
    """Return what the scores are worth, as JSON can hold it.

    Args:
        scores: (n, labels) probabilities, n at least 1.
        truth: (n,) indices of the true labels.
        labels: In the order of the scores.
        alerting: Those that alert; with some, the report also counts what a single look confirms.

    Returns:
        `crops`, `accuracy`, `confusion` (rows: truth, columns: best label), `labels` (each one's
        `crops`, `recall` and `precision`; None where there is nothing to divide by),
        `reliability` (see `reliability`) and `calibration_error`. With alerting labels also how
        many of `alerting_crops` and of `other_crops` were confirmed as an alerting label with
        at least `CONFIRM_SCORE` (of the first only as the right one), and both as parts.
    """
    best = scores.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, best), 1)
    bins = reliability(scores, truth)
    off = sum(each["crops"] * abs(each["score"] - each["right"]) for each in bins)
    return {
        "crops": len(truth),
        "accuracy": round(float((best == truth).mean()), 4),
        "calibration_error": round(off / len(truth), 4),
        **_confirmed(scores, truth, [labels.index(label) for label in alerting]),
        "labels": {label: _of_label(confusion, index) for index, label in enumerate(labels)},
        "confusion": confusion.tolist(),
        "reliability": bins,
    }


def _of_label(confusion: npt.NDArray[np.int64], index: int) -> dict[str, Any]:
    right, there, said = (
        int(confusion[index, index]), int(confusion[index].sum()), int(confusion[:, index].sum()),
    )  # fmt: skip
    return {"crops": there, "recall": _part(right, there), "precision": _part(right, said)}


def _part(count: int, whole: int) -> float | None:
    return round(count / whole, 5) if whole else None


def _confirmed(scores: Floats, truth: Indices, alerting: Sequence[int]) -> dict[str, Any]:
    if not alerting:
        return {}
    best = scores.argmax(axis=1)
    sure = np.isin(best, alerting) & (scores.max(axis=1) >= CONFIRM_SCORE)
    wanted = np.isin(truth, alerting)
    rightly, wrongly = int((sure & (best == truth))[wanted].sum()), int(sure[~wanted].sum())
    crops, others = int(wanted.sum()), int((~wanted).sum())
    return {
        "alerting_crops": crops,
        "alerting_confirmed": rightly,
        "alerting_confirmed_part": _part(rightly, crops),
        "other_crops": others,
        "others_confirmed": wrongly,
        "others_confirmed_part": _part(wrongly, others),
    }


def reliability(scores: Floats, truth: Indices) -> list[dict[str, Any]]:
    """Return, for each tenth of the best score that occurs: `crops`, mean `score`, part `right`."""
    best, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    places = np.minimum((best * BINS).astype(int), BINS - 1)
    return [
        {
            "from": round(place / BINS, 2),
            "crops": int((places == place).sum()),
            "score": round(float(best[places == place].mean()), 4),
            "right": round(float(right[places == place].mean()), 4),
        }
        for place in sorted(set(places.tolist()))
    ]
