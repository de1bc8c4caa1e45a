"""What trained weights are worth on crops that did not train them."""

from typing import Any

from training.calibration import Floats, report, softmax, temperature
from training.crops import Crops
from training.fitting import predict
from training.network import Model
from training.splits import recording_of, tunes

AT_MOST = 4000
"""Crops that judge, at most."""


def judgement(model: Model, crops: Crops, alerting: list[str]) -> dict[str, Any]:
    """Calibrate on one half of the recordings and report on the other.

    With a label missing in one half, both are done on all crops, and the result says so.
    """
    crops = crops.at_most(AT_MOST)
    logits = predict(model, crops)
    tuning = [tunes(recording_of(path.name)) for path in crops.paths]
    first = [index for index, tune in enumerate(tuning) if tune]
    second = [index for index, tune in enumerate(tuning) if not tune]
    everything = set(crops.truth.tolist())
    halved = all(set(crops.truth[half].tolist()) == everything for half in (first, second))
    if not halved:
        first = second = list(range(len(crops)))
    divisor = temperature(logits[first], crops.truth[first])
    scores: Floats = softmax(logits[second] / divisor)
    return {
        "temperature": divisor,
        "calibrated_on": "other recordings" if halved else "the judged crops themselves",
        **report(scores, crops.truth[second], crops.labels, alerting),
    }
