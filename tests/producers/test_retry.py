"""When to try again: each second, unless that would lock us out."""

import random

from producers.retry import Retry
from secondlook.backoff import Backoff


def retry() -> Retry:
    return Retry(Backoff(first_s=5, longest_s=60, chance=random.Random(1)))


def test_a_camera_that_is_away_is_tried_each_second_for_ten_minutes() -> None:
    knocks = retry()
    assert {knocks.failed(float(at), refused=False) for at in range(601)} == {1.0}
    later = [knocks.failed(700.0 + at, refused=False) for at in range(8)]
    assert later[0] >= 2.5
    assert 30 <= later[-1] <= 60


def test_a_refused_login_backs_off_at_once() -> None:
    knocks = retry()
    waits = [knocks.failed(float(at), refused=True) for at in range(8)]
    assert min(waits) >= 2.5
    assert waits[-1] >= 30


def test_a_picture_makes_it_patient_again() -> None:
    knocks = retry()
    for at in range(8):
        knocks.failed(at * 1000.0, refused=False)
    knocks.succeeded()
    assert knocks.failed(9000.0, refused=False) == 1.0
    assert knocks.failed(9600.0, refused=False) == 1.0
    assert knocks.failed(9601.0, refused=False) > 1.0
