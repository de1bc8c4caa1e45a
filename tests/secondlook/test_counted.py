from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.commands.counted import DROPPED, Counted, samples
from secondlook.messages import Stats

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CAUSES = ("", "{camera=yard,cause=late}", "{camera=yard,cause=paced}", "{camera=yard}")
LATE, PACED = "{camera=yard,cause=late}", "{camera=yard,cause=paced}"


def stats(service: str, seconds: float, **counters: float) -> Stats:
    at = START + timedelta(seconds=seconds)
    return Stats(service=service, version="1", at=at, counters=counters)


def test_a_number_is_read_by_its_name_and_labels() -> None:
    given = {"up": 1.0, f"frames_dropped_total{LATE}": 3.0}
    assert list(samples(given)) == [
        ("up", {}, 1.0),
        ("frames_dropped_total", {"camera": "yard", "cause": "late"}, 3.0),
    ]


def test_numbers_are_summed_over_labels_that_are_not_given() -> None:
    counted = Counted()
    counted.take(stats("detector", 0, **{"looks{camera=a}": 1.0, "looks{camera=b}": 2.0}))
    assert counted.value("detector", "looks") == 3
    assert counted.value("detector", "looks", camera="b") == 2
    assert counted.value("detector", "looks", camera="c") == 0
    assert counted.value("producers", "looks") == 0


def test_growth_is_known_from_the_second_time_on() -> None:
    counted = Counted()
    counted.take(stats("detector", 0, frames=100.0))
    assert counted.growth("detector", "frames") is None
    counted.take(stats("detector", 10, frames=150.0))
    assert counted.growth("detector", "frames") == 5
    counted.take(stats("detector", 20, frames=3.0))
    assert counted.growth("detector", "frames") == 0, "it was started again"


def test_what_is_told_twice_is_no_growth() -> None:
    counted = Counted()
    for seconds in (0, 10, 10):
        counted.take(stats("detector", seconds, frames=seconds * 5.0))
    assert counted.growth("detector", "frames") == 5


@pytest.mark.parametrize(
    ("later", "rate"),
    [
        pytest.param({LATE: 0.0}, 0, id="nothing"),
        pytest.param({LATE: 20.0}, 2, id="late"),
        pytest.param({PACED: 500.0}, 0, id="as-configured"),
    ],
)
def test_frames_dropped_as_configured_are_not_lost(later: dict[str, float], rate: float) -> None:
    counted = Counted()
    counted.take(stats("producers", 0, **{f"frames_dropped_total{LATE}": 0.0}))
    assert counted.dropped("yard") is None
    found = {f"frames_dropped_total{labels}": value for labels, value in later.items()}
    counted.take(stats("producers", 10, **found))
    assert counted.dropped("yard") == rate


def test_frames_lost_at_both_services_are_summed() -> None:
    counted = Counted()
    old = "detector_frames_dropped_total{camera=yard,cause=overwritten}"
    for seconds in (0, 10):
        counted.take(stats("producers", seconds, **{f"frames_dropped_total{LATE}": seconds * 1.0}))
        counted.take(stats("detector", seconds, **{old: seconds * 2.0}))
    assert counted.dropped("yard") == 3
    assert counted.dropped("door") == 0


SAID = st.lists(
    st.tuples(
        st.sampled_from(["producers", "detector", "other"]),
        st.integers(0, 60),
        st.dictionaries(
            st.sampled_from([f"{name}{labels}" for name in DROPPED.values() for labels in CAUSES])
            | st.text(max_size=20),
            st.floats(0, 1e6),
        ),
    ),
    max_size=10,
)


@given(said=SAID)
def test_no_number_shrinks_whatever_services_say_in_whatever_order(
    said: list[tuple[str, int, dict[str, float]]],
) -> None:
    counted = Counted()
    for service, seconds, counters in said:
        counted.take(stats(service, seconds, **counters))
        for name in DROPPED.values():
            growth = counted.growth(service, name)
            assert growth is None or growth >= 0
            assert counted.value(service, name, cause="late") <= counted.value(service, name)
        assert (counted.dropped("yard") or 0) >= 0
