import pytest

from training.fitting import FROM_IMAGENET, FROM_NOTHING, Best, Clock, rate_at


def test_the_rate_rises_shortly_and_then_falls_to_nearly_nothing() -> None:
    rates = [rate_at(part / 100, 1e-3) for part in range(101)]
    highest = rates.index(max(rates))
    assert highest <= 6
    assert rates[highest] == pytest.approx(1e-3, rel=0.02)
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert 0 < rates[100] <= 1e-6
    assert rates[0] > 1e-6, "a first batch that teaches nothing is wasted"


@pytest.mark.parametrize(
    ("seconds", "batches", "expected"),
    [
        pytest.param(60.0, None, 0.5, id="time"),
        pytest.param(None, 40, 0.25, id="batches"),
        pytest.param(60.0, 40, 0.5, id="time-is-first"),
        pytest.param(600.0, 20, 0.5, id="batches-are-first"),
        pytest.param(0.0, None, 1.0, id="no-time-left"),
        pytest.param(60.0, 5, 1.0, id="never-more-than-all"),
    ],
)
def test_a_stage_is_over_by_time_or_batches_whichever_is_first(seconds, batches, expected) -> None:
    assert Clock(100.0, seconds, batches, done=10).part(130.0) == expected


def test_the_best_judgement_is_known_and_how_long_ago_it_was() -> None:
    best = Best()
    assert [best.better(value) for value in (2.0, 1.0, 1.0, 1.5, 0.9)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert (best.loss, best.since) == (0.9, 0)
    best.better(3.0)
    assert best.since == 1


@pytest.mark.parametrize("stages", [FROM_NOTHING, FROM_IMAGENET], ids=["nothing", "imagenet"])
def test_the_stages_are_a_whole_training(stages) -> None:
    assert sum(stage.part for stage in stages) == 1.0


def test_pretrained_weights_meet_the_new_head_before_they_move() -> None:
    assert [stage.phase for stage in FROM_IMAGENET] == ["head", "blocks"]
    assert [stage.phase for stage in FROM_NOTHING] == ["all"]
    assert FROM_IMAGENET[1].rate < FROM_IMAGENET[0].rate
