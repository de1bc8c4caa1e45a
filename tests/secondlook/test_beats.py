from hypothesis import given
from hypothesis import strategies as st

from secondlook.beats import EVERY_S, LATE_S, SILENT_S, Beats

PROMISED_S = 6.0
"""From a freeze to `offline`."""


def told(beats: Beats, heard: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(at_s, who) for at_s, name in sorted(heard) for who in beats.heard(name, at_s)]


def each_second(name: str, until_s: float, *, offset_s: float = 0.0) -> list[tuple[float, str]]:
    return [(n * EVERY_S + offset_s, name) for n in range(int(until_s / EVERY_S))]


def test_who_stops_is_offline_once_and_back_with_its_next_beat() -> None:
    beats = Beats("me", ["peer"])
    mine, before, after = each_second("me", 60), each_second("peer", 10), []
    after = [(at_s + 30, name) for at_s, name in each_second("peer", 10)]

    assert told(beats, mine + before + after) == [(14.0, "peer"), (44.0, "peer")]


def test_a_service_that_nobody_watches_and_one_never_heard_are_left_to_the_broker() -> None:
    beats = Beats("me", ["peer"])
    assert told(beats, each_second("me", 60) + each_second("other", 2)) == []


def test_who_has_said_goodbye_is_not_missed() -> None:
    beats = Beats("me", ["peer"])
    told(beats, each_second("me", 5) + each_second("peer", 5))
    beats.gone("peer")
    assert told(beats, [(5.0 + at_s, name) for at_s, name in each_second("me", 20)]) == []


def test_after_standing_still_ourselves_nobody_is_blamed_for_what_we_missed() -> None:
    beats = Beats("me", ["peer"])
    told(beats, each_second("me", 5) + each_second("peer", 5))
    # Thawed after a minute: what came meanwhile is read at once, our own beat first.
    assert beats.heard("me", 65.0) == []
    assert beats.heard("peer", 65.0) == []
    assert beats.heard("me", 66.0) == []


@given(
    st.floats(0, 100),
    st.floats(0, EVERY_S, exclude_max=True),
    st.lists(st.floats(0, LATE_S - EVERY_S), min_size=200, max_size=200),
)
def test_whoever_freezes_is_offline_within_the_time_promised_and_nobody_sooner(
    frozen_s: float, offset_s: float, delays_s: list[float]
) -> None:
    beats = Beats("me", ["frozen", "alive"])
    mine = [(n * EVERY_S, "me") for n in range(120)]
    alive = [(n * EVERY_S + delays_s[n], "alive") for n in range(120)]
    before = [(at_s, name) for at_s, name in each_second("frozen", 120, offset_s=offset_s)]
    before = [(at_s, name) for at_s, name in before if at_s <= frozen_s]

    found = told(beats, [*mine, *alive, *before])

    assert len(found) == bool(before)
    for at_s, who in found:
        assert who == "frozen"
        assert SILENT_S - EVERY_S < at_s - frozen_s < PROMISED_S


@given(st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["me", "peer", "x"])), max_size=60))
def test_nobody_is_blamed_twice_without_a_beat_in_between(
    heard: list[tuple[float, str]],
) -> None:
    beats, alive = Beats("me", ["peer"]), False
    for at_s, name in sorted(heard):
        alive |= name == "peer"
        for who in beats.heard(name, at_s):
            assert who == "peer"
            assert alive
            alive = False
