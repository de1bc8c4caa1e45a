import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.looks import Instant
from classifier_svc.memory import Memory, Track
from tests.classifier_svc.scene import look, ns

WITHIN_NS = ns(2.0)
LOOKS = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from(["r1", "r1", "r1", "r2"])), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.integers(1, 5))
def test_a_track_keeps_a_bounded_number_of_looks_of_one_run_in_their_order(
    given_looks: list[tuple[int, str]], n: int
) -> None:
    track = Track("yard-1", look(0).at)
    for count, (at, run) in enumerate(given_looks, 1):
        taken = look(at / 10, run=run, id=f"yard-1.{count}")
        place = track.place(taken, n, WITHIN_NS)
        assert place is not None
        assert track.looks[place] is taken
        assert track.place(taken, n, WITHIN_NS) is None
        assert track.taken == count
        assert len(track.looks) <= max(4 * n, 16) + 1
        assert {each.frame.run for each in track.looks} == {run}
        media = [each.frame.media_ns for each in track.looks]
        assert media == sorted(media)


@settings(max_examples=150, deadline=None)
@given(LOOKS)
def test_what_is_seen_goes_on_within_a_run_and_never_back_to_an_earlier_one(
    moments: list[tuple[int, str]],
) -> None:
    memory = Memory()
    for at, run in moments:
        before = memory.seen
        now = Instant(run=run, media_ns=ns(at), captured_ns=ns(at))
        memory.step_to(now)
        assert memory.seen is not None
        if before is not None and before.run == run:
            assert memory.seen.media_ns == max(before.media_ns, now.media_ns)
        if before is not None and before.run != run and run in memory.past_runs:
            assert memory.seen == before
        assert len(memory.past_runs) <= 16


@settings(max_examples=100, deadline=None)
@given(LOOKS)
def test_its_rows_are_it(given_looks: list[tuple[int, str]]) -> None:
    memory, again = Memory(), Memory()
    rows: dict[tuple[str, str], bytes] = {}
    for count, (at, run) in enumerate(given_looks):
        taken = look(at / 10, track=str(count % 3), run=run, id=f"yard-1.{count}")
        memory.track_of(taken).place(taken, 3, WITHIN_NS)
        memory.step_to(taken.at)
        if count % 7 == 6:
            memory.drop_track(memory.tracks[taken.track])
        for kind, key, value in memory.take_changes():
            if value is None:
                del rows[kind, key]
            else:
                rows[kind, key] = value
    for (kind, key), value in rows.items():
        again.restore(kind, key, value)
    assert (again.tracks, again.seen, again.past_runs) == (
        memory.tracks,
        memory.seen,
        memory.past_runs,
    )
    assert memory.take_changes() == []


def test_a_row_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="validation error"):
        Memory().restore("track", "yard-1", b"{}")
