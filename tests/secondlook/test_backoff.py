import random

from hypothesis import given
from hypothesis import strategies as st

from secondlook.backoff import Backoff


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_waits_grow_to_the_longest_and_vary_by_half(seed: int, attempts: int) -> None:
    backoff = Backoff(0.5, 8.0, chance=random.Random(seed))
    whole = [min(8.0, 0.5 * 2.0**n) for n in range(attempts)]
    for expected in whole:
        assert expected / 2 <= backoff.next_s() <= expected


def test_after_a_success_the_first_wait_is_short_again() -> None:
    backoff = Backoff(0.1, 100.0)
    for _ in range(20):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 0.1


def test_two_clients_do_not_knock_at_the_same_moment() -> None:
    assert Backoff(chance=random.Random(1)).next_s() != Backoff(chance=random.Random(2)).next_s()


@given(st.floats(1e-3, 10), st.floats(0, 1000), st.integers(0, 10_000))
def test_no_wait_is_longer_than_the_longest_however_often_it_failed(
    first_s: float, more_s: float, attempts: int
) -> None:
    backoff = Backoff(first_s, first_s + more_s, _attempts=attempts)
    assert 0 < backoff.next_s() <= first_s + more_s
