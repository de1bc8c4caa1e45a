"""Blank pictures: black or frozen for long enough is blind, a quiet night is not."""

import numpy as np
import pytest

from producers.blank import BlankWatch, is_black, same

S = 1_000_000_000


def noisy(seed: int, level: int = 100):
    noise = np.random.default_rng(seed).integers(0, 5, (72, 128, 3))
    return (noise + level).astype(np.uint8)


def reasons(watch: BlankWatch, pictures) -> list[bool]:
    return [watch.blind(image, at * S) is not None for at, image in enumerate(pictures)]


def test_a_living_picture_is_not_blind() -> None:
    assert not any(reasons(BlankWatch(3), [noisy(i) for i in range(10)]))


def test_a_frozen_picture_is_blind_after_the_time_and_not_before() -> None:
    watch = BlankWatch(3)
    assert reasons(watch, [noisy(0)] * 5) == [False, False, False, True, True]
    assert "not changed" in str(watch.blind(noisy(0), 6 * S))


def test_any_pixel_that_changes_is_life() -> None:
    watch = BlankWatch(3)
    pictures = []
    for i in range(8):
        image = noisy(0)
        image[33, 77, 1] = i  # in none of the sampled rows
        pictures.append(image)
    assert not any(reasons(watch, pictures))


def test_a_black_picture_is_blind_noise_or_not() -> None:
    watch = BlankWatch(3)
    assert reasons(watch, [noisy(i, level=12) for i in range(5)]) == [*[False] * 3, True, True]
    assert "black" in str(watch.blind(noisy(9, level=12), 6 * S))


def test_a_dark_night_with_a_lamp_is_not_black() -> None:
    night = noisy(0, level=5)
    night[0:16, 0:16] = 180
    assert not is_black(night)
    assert is_black(noisy(0, level=5))
    assert not is_black(noisy(0, level=25))


def test_light_ends_it_at_once_and_the_time_begins_again() -> None:
    black = [noisy(i, level=0) for i in range(4)]
    assert reasons(BlankWatch(2), [*black, noisy(5), *black]) == [
        *[False, False, True, True],
        False,
        *[False, True, True, True],
    ]


@pytest.mark.parametrize(
    ("level", "blind"), [pytest.param(100, False, id="still"), pytest.param(0, True, id="black")]
)
def test_a_drawing_may_stand_still_but_not_be_black(level, blind) -> None:
    watch = BlankWatch(2, may_stand_still=True)
    assert reasons(watch, [noisy(0, level=level)] * 5)[-1] == blind


def test_a_new_run_begins_anew() -> None:
    watch = BlankWatch(2)
    assert reasons(watch, [noisy(0)] * 4)[-1]
    watch.restart()
    assert watch.blind(noisy(0), 0) is None


def test_a_new_size_is_a_change() -> None:
    assert not same(noisy(0), noisy(0)[:50])
