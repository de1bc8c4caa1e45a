import numpy as np
import pytest

from training.feeding import can_feed, feed

pytestmark = pytest.mark.skipif(not can_feed(), reason="this system cannot fork")

SHAPE = (2, 4, 4, 3)


def make(number: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(SHAPE, number, np.uint8), np.array([number, number + 1])


# Python 3.12 warns of every fork beside threads; the children touch none of the parent's.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_batches_come_in_order_and_stay_what_they_were() -> None:
    batches = feed(make, SHAPE, processes=2)
    try:
        kept = [next(batches) for _ in range(11)]
    finally:
        batches.close()
    for number, (images, truth) in enumerate(kept):
        assert images.shape == SHAPE
        assert (images == number).all()
        assert truth.tolist() == [number, number + 1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_mistake_while_making_a_batch_comes_out() -> None:
    def broken(number: int) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError(f"batch {number}")

    batches = feed(broken, SHAPE, processes=1)
    with pytest.raises(ValueError, match="batch 0"):
        next(batches)
