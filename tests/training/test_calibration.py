import numpy as np
import pytest

from training.calibration import loss, reliability, report, softmax, temperature

LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
GUNS = ("small_gun", "big_gun")


def test_softmax_gives_probabilities_even_of_large_logits() -> None:
    scores = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]], np.float32))
    np.testing.assert_allclose(scores, [[0.5, 0.5], [0.25, 0.75]], atol=1e-6)


def test_the_loss_is_that_of_the_true_label() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
    expected = -(np.log(0.25) + np.log(0.8)) / 2
    assert loss(logits, np.array([1, 2])) == pytest.approx(expected, abs=1e-5)


def test_the_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (4000, 5)).astype(np.float32)
    chances = softmax(logits).astype(np.float64)
    truth = np.array([random.choice(5, p=row / row.sum()) for row in chances])
    assert temperature(logits, truth) == pytest.approx(1.0, abs=0.15)
    assert temperature(logits * 2.5, truth) == pytest.approx(2.5, rel=0.15)


SCORES = np.array([[0.9, 0.1, 0, 0, 0], [0.7, 0.1, 0.2, 0, 0], [0.1, 0.85, 0.05, 0, 0],
                   [0, 0, 0, 0, 1.0]], np.float32)  # fmt: skip
TRUTH = np.array([0, 0, 2, 4])


def test_the_report_counts_what_is_right_and_what_is_mistaken_for_what() -> None:
    found = report(SCORES, TRUTH, LABELS)
    assert found["accuracy"] == 0.75
    assert found["confusion"][2] == [0, 1, 0, 0, 0]
    assert found["labels"]["small_gun"] == {"crops": 2, "recall": 1.0, "precision": 1.0}
    assert found["labels"]["big_gun"] == {"crops": 0, "recall": None, "precision": 0.0}
    assert "alerting_crops" not in found


def test_the_report_counts_what_one_look_confirms_rightly_and_wrongly() -> None:
    found = report(SCORES, TRUTH, LABELS, GUNS)
    assert (found["alerting_confirmed"], found["alerting_crops"]) == (1, 2)
    assert (found["others_confirmed"], found["other_crops"]) == (1, 2)
    assert found["alerting_confirmed_part"] == found["others_confirmed_part"] == 0.5


def test_an_alerting_label_confirmed_as_another_one_is_not_right() -> None:
    found = report(SCORES[2:3], np.array([0]), LABELS, GUNS)
    assert (found["alerting_confirmed"], found["alerting_crops"]) == (0, 1)
    assert found["others_confirmed_part"] is None


def test_reliability_sets_scores_beside_how_often_they_are_right() -> None:
    bins = {row["from"]: row for row in reliability(SCORES, TRUTH)}
    assert set(bins) == {0.7, 0.8, 0.9}
    assert bins[0.9] == {"from": 0.9, "crops": 2, "score": 0.95, "right": 1.0}
    assert bins[0.8]["right"] == 0.0
    assert report(SCORES, TRUTH, LABELS)["calibration_error"] == pytest.approx(
        (0.3 + 0.85 + 2 * 0.05) / 4, abs=1e-4
    )
