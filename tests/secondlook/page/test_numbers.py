import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.page.numbers import TROUBLES, digest
from tests.secondlook.page.said import stats

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def test_how_much_a_service_does_is_a_rate_between_two_reports() -> None:
    before = stats("producers", 0, **{"frames_sent_total{camera=a}": 100})
    now = stats(
        "producers", 10, **{"frames_sent_total{camera=a}": 130, "frames_sent_total{camera=b}": 20}
    )

    assert digest(now, before).work == "5.0 frames/s"
    assert digest(now, None).work == ""


def test_a_service_that_began_anew_has_no_rate_yet() -> None:
    before = stats("detector", 0, detector_frames_total=100.0)

    assert digest(stats("detector", 10, detector_frames_total=3.0), before).work == ""


def test_what_waits_is_told_while_something_does() -> None:
    said = digest(stats("classifier", 0, classifier_crops_waiting=3), None)

    assert said.work == "crops waiting: 3"
    assert digest(stats("classifier", 0, classifier_crops_waiting=0), None).work == ""


def test_what_should_not_be_is_told_in_words_summed_over_cameras() -> None:
    lost = {
        "classifier_crops_shed_total{camera=a,cause=full}": 2,
        "classifier_crops_shed_total{camera=b,cause=full}": 1,
    }

    assert digest(stats("classifier", 0, **lost, bus_unreadable=0), None).troubles == [
        "crops dropped without a verdict: 3"
    ]


@pytest.mark.parametrize("name", TROUBLES)
def test_every_trouble_is_a_number_that_the_operations_page_marks(name: str) -> None:
    plain = name.removesuffix("_total")
    rows = [line for line in OPERATIONS.read_text().splitlines() if f"`{plain}`" in line]

    assert len(rows) == 1
    assert re.search(r"`!` \|", rows[0]), rows[0]


services = st.sampled_from(["producers", "detector", "classifier", "someone"])
counters = st.dictionaries(
    st.one_of(st.sampled_from([*TROUBLES, "frames_sent_total{camera=yard}", "{"]), st.text()),
    st.floats(allow_nan=False, allow_infinity=False),
    max_size=8,
)


@given(services, counters, counters, st.integers(-60, 60))
def test_any_numbers_become_words(
    service: str, before: dict[str, float], now: dict[str, float], later_s: int
) -> None:
    said = digest(stats(service, later_s, **now), stats(service, 0, **before))

    assert "-" not in said.work.partition(" ")[0]
    assert len(said.troubles) <= len(TROUBLES)
