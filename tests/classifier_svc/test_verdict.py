from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_svc.verdict import UNUSABLE, judge
from secondlook.config import Alerts
from secondlook.model_spec import ModelParameters

LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
MODEL = ModelParameters(labels=LABELS)
SEED = ModelParameters(labels=LABELS, fallback_label="empty", fallback_below=0.7)


@pytest.mark.parametrize(
    ("scores", "outcome", "label"),
    [
        pytest.param({"small_gun": 0.8, "phone": 0.2}, "confirmed", "small_gun", id="at-the-edge"),
        pytest.param({"small_gun": 0.799, "phone": 0.2}, "uncertain", "small_gun", id="below-it"),
        pytest.param({"big_gun": 0.9, "small_gun": 0.1}, "confirmed", "big_gun", id="each-label"),
        pytest.param({"phone": 0.5, "big_gun": 0.4}, "rejected", "phone", id="other-at-the-edge"),
        pytest.param({"phone": 0.49, "big_gun": 0.4}, "uncertain", "phone", id="other-below-it"),
        pytest.param({"small_gun": 0.5, "phone": 0.5}, "uncertain", "small_gun", id="first-of-two"),
        pytest.param({"phone": 0.5, "small_gun": 0.5}, "rejected", "phone", id="first-other"),
    ],
)
def test_the_best_label_and_its_score_decide(
    scores: Mapping[str, float], outcome: str, label: str
) -> None:
    judged = judge(scores, Alerts(), MODEL)
    assert (judged.outcome, judged.label, judged.score) == (outcome, label, scores[label])
    assert judged.label in judged.reason


def test_each_alert_label_may_need_a_score_of_its_own() -> None:
    alerts = Alerts(confirm_score={"small_gun": 0.95, "big_gun": 0.6})
    assert judge({"small_gun": 0.9}, alerts, MODEL).outcome == "uncertain"
    assert judge({"big_gun": 0.6}, alerts, MODEL).outcome == "confirmed"


def test_labels_alert_by_their_slug() -> None:
    judged = judge({"Small Gun": 0.9}, Alerts(labels=["small_gun"]), ModelParameters())
    assert (judged.outcome, judged.label) == ("confirmed", "Small Gun")


@pytest.mark.parametrize(
    ("scores", "outcome", "label", "score"),
    [
        pytest.param(
            {"small_gun": 0.69, "empty": 0.1}, "rejected", "empty", 0.1, id="below-is-the-fallback"
        ),
        pytest.param(
            {"small_gun": 0.7, "empty": 0.1}, "uncertain", "small_gun", 0.7, id="at-the-edge-is-not"
        ),
        pytest.param(
            {"small_gun": 0.9, "empty": 0.1}, "confirmed", "small_gun", 0.9, id="above-confirms"
        ),
        pytest.param(
            {"phone": 0.6, "empty": 0.2}, "rejected", "empty", 0.2, id="other-labels-fall-too"
        ),
    ],
)
def test_a_fallback_label_stands_in_for_low_scores(
    scores: Mapping[str, float], outcome: str, label: str, score: float
) -> None:
    judged = judge(scores, Alerts(), SEED)
    assert (judged.outcome, judged.label, judged.score) == (outcome, label, score)


def test_a_fallback_label_that_alerts_never_confirms() -> None:
    odd = ModelParameters(labels=LABELS, fallback_label="big_gun", fallback_below=0.99)
    assert judge({"big_gun": 0.9}, Alerts(), odd).outcome == "uncertain"


def test_an_unusable_answer_is_uncertain() -> None:
    judged = judge(None, Alerts(), MODEL)
    assert (judged.outcome, judged.score, judged.reason) == ("uncertain", 0.0, UNUSABLE)


@given(st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1), min_size=1))
def test_only_alert_labels_confirm_and_only_others_reject(scores: dict[str, float]) -> None:
    judged = judge(scores, Alerts(), MODEL)
    assert judged.score == max(scores.values())
    if judged.outcome == "confirmed":
        assert judged.label in ("small_gun", "big_gun")
    if judged.outcome == "rejected":
        assert judged.label not in ("small_gun", "big_gun")
