import itertools

import numpy as np
import pytest

from training.negatives import negatives
from training.vehicles import vehicle

PHOTOGRAPH = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)


def first(count: int, seed: int) -> list[np.ndarray]:
    return list(itertools.islice(negatives(np.random.default_rng(seed), [PHOTOGRAPH]), count))


def test_negatives_are_crops_as_the_classifier_takes_them() -> None:
    for crop in first(20, seed=1):
        assert crop.shape == (224, 224, 3)
        assert crop.dtype == np.uint8


def test_a_seed_gives_the_same_negatives_again() -> None:
    assert all(map(np.array_equal, first(10, seed=2), first(10, seed=2)))
    assert not all(map(np.array_equal, first(10, seed=2), first(10, seed=3)))


@pytest.mark.parametrize("seed", range(5))
def test_a_vehicle_shows_something(seed: int) -> None:
    drawn = vehicle(np.random.default_rng(seed))
    assert drawn.shape == (256, 256, 3)
    assert drawn.std() > 5


def test_a_photograph_that_is_too_small_gives_vehicles_only() -> None:
    speck = np.zeros((10, 10, 3), np.uint8)
    drawn = next(negatives(np.random.default_rng(4), [speck]))
    assert drawn.shape == (224, 224, 3)
