"""When a track is looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector_svc.looks import TrackLooks, difference, same_shape

SECOND = 1_000_000_000
BOX = (100.0, 100.0, 200.0, 200.0)
PLAIN = np.full((16, 16, 3), 90, np.uint8)
OTHER = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)


def looks(n=3, relook_s=1.0):
    return TrackLooks(n, int(relook_s * SECOND))


def sight(track, seconds, box=BOX, appearance=PLAIN):
    """Show a sighting; take the look if one is due; return why."""
    media_ns = round(seconds * SECOND)
    cause = track.due(media_ns, box, appearance)
    if cause:
        track.take(cause, media_ns, box, appearance)
    return cause


def test_the_first_sightings_are_all_looked_at():
    track = looks(n=3)

    causes = [sight(track, i / 5) for i in range(4)]

    assert causes == ["new", "new", "new", None]


def test_a_track_that_stays_is_looked_at_again_for_as_long_as_it_lives():
    track = looks(n=2, relook_s=1.0)

    causes = [sight(track, i / 5) for i in range(100)]

    assert causes[:2] == ["new", "new"]
    assert [i for i, cause in enumerate(causes) if cause == "relook"] == list(range(6, 100, 5))


def test_looks_are_numbered_from_zero():
    track = looks()

    assert [track.take("new", i, BOX, PLAIN) for i in range(3)] == [0, 1, 2]
    assert track.taken == 3


def test_a_sighting_without_a_look_does_not_count():
    track = looks(n=2)

    assert track.due(0, BOX, PLAIN) == "new"
    assert track.due(1, BOX, PLAIN) == "new"
    assert track.taken == 0


@pytest.mark.parametrize(
    "box", [(100, 100, 260, 260), (100, 100, 160, 160), (100, 100, 200, 140), (0, 0, 210, 100)]
)
def test_a_box_of_another_shape_is_looked_at_at_once(box):
    track = looks(n=1)
    sight(track, 0)

    assert sight(track, 0.2, box) == "changed"


def test_a_box_that_only_moves_has_not_changed():
    track = looks(n=1)
    sight(track, 0)

    assert sight(track, 0.2, (600.0, 300.0, 700.0, 400.0)) is None


def test_a_phone_that_becomes_a_gun_is_looked_at_at_once():
    track = looks(n=1)
    sight(track, 0)

    assert sight(track, 0.2, appearance=OTHER) == "changed"
    assert sight(track, 0.4, appearance=OTHER) is None


def test_a_lamp_that_is_switched_on_is_no_change():
    brighter = (OTHER // 2 + 100).astype(np.uint8)
    track = looks(n=1)
    sight(track, 0, appearance=(OTHER // 2).astype(np.uint8))

    assert sight(track, 0.2, appearance=brighter) is None


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=80),
)
def test_a_flickering_track_is_bounded_and_none_is_forgotten(n, sightings):
    track = looks(n=n, relook_s=1.0)
    now, times = 0.0, []
    for gap, flicker in sightings:
        now += gap
        if sight(track, now, appearance=OTHER if flicker else PLAIN):
            times.append(now)
        assert now - times[-1] < 1.0

    for begin in times:
        # The first n, then within one relook_s the n changes and the relook.
        assert sum(begin <= t < begin + 0.999 for t in times) <= 2 * n + 1


def test_difference_is_none_for_the_same_and_large_for_others():
    assert difference(OTHER, OTHER) == 0
    assert difference(OTHER, PLAIN) > 0.15


def test_same_shape_of_empty_boxes_is_whole():
    assert same_shape((0, 0, 0, 0), (5, 5, 5, 5)) == 1.0
