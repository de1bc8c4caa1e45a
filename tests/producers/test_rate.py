"""Frames per second, as people see them."""

from producers.rate import Rate


def test_a_steady_camera_has_its_rate() -> None:
    rate = Rate()
    for number in range(500):
        rate.tell(number / 5)

    assert rate.per_s(99.9) == 5.0


def test_a_camera_that_stops_goes_to_nothing_within_ten_seconds() -> None:
    rate = Rate()
    for number in range(50):
        rate.tell(number / 5)

    assert rate.per_s(15.0) == 2.4
    assert rate.per_s(20.0) == 0.0


def test_a_camera_that_never_began_has_none() -> None:
    assert Rate().per_s(3.0) == 0.0
