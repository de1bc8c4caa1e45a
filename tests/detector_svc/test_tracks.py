"""Objects over frames: kept together, told apart, ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector_svc import tracks
from detector_svc.tracks import Tracker
from detector_svc.yolo import Detections
from secondlook.messages import TrackEnded

SECOND = 1_000_000_000


def tracker(lost_after_s=1.0):
    return Tracker("yard", "01m80y6fxk8e5t7w9x0y1z2a3b", int(lost_after_s * SECOND))


def found(*boxes, label=0):
    """Return detections at boxes given as (centre x, centre y, width, height)."""
    corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in boxes]
    n = len(boxes)
    return Detections(
        np.array(corners, np.float32).reshape(n, 4),
        np.full(n, 0.5, np.float32),
        np.full(n, label, np.int32),
    )


def play(yard, frames, fps=5.0, run="a", start_s=0.0):
    """Feed frames at a steady rate; return the steps."""
    steps = []
    for index, detections in enumerate(frames):
        media_ns = int((start_s + index / fps) * SECOND)
        steps.append(yard.advance(run, media_ns, media_ns + 7, detections))
    return steps


def ids(steps):
    return [[track.id for track in step.sightings] for step in steps]


def one_object(steps):
    names = {name for names in ids(steps) for name in names}
    return len(names) == 1


@pytest.mark.parametrize("fps", [5, 10, 15])
@pytest.mark.parametrize("speed", [0, 200, 500, 900])
def test_a_small_card_that_crosses_the_picture_is_one_track(fps, speed):
    seconds = min(2.0, 1900 / max(speed, 1))
    frames = [found((40 + speed * i / fps, 500, 80, 80)) for i in range(int(seconds * fps))]

    assert one_object(play(tracker(), frames, fps))


def test_a_card_that_turns_back_at_once_is_still_one_track():
    path = [100, 200, 300, 400, 300, 200, 100]

    assert one_object(play(tracker(), [found((x, 300, 80, 80)) for x in path]))


def test_a_card_missed_for_three_frames_is_met_where_it_should_be():
    path = [100, 160, 220, None, None, None, 460, 520]
    frames = [found() if x is None else found((x, 300, 60, 60)) for x in path]

    assert one_object(play(tracker(), frames))


def test_two_cards_that_pass_each_other_keep_their_tracks():
    frames = [found((100 + 60 * i, 300, 60, 60), (700 - 60 * i, 340, 60, 60)) for i in range(11)]

    steps = play(tracker(), frames)

    assert ids(steps)[0] == ids(steps)[-1]
    assert len(set(ids(steps)[0])) == 2


def test_a_change_of_label_does_not_tear_a_track():
    frames = [found((100, 100, 50, 50), label=i % 3) for i in range(4)]

    steps = play(tracker(), frames)

    assert one_object(steps)
    assert steps[-1].sightings[0].label == 0


def test_a_thing_far_away_is_another_object():
    steps = play(tracker(), [found((100, 100, 50, 50)), found((600, 100, 50, 50))])

    assert ids(steps)[0] != ids(steps)[1]


def test_a_thing_of_another_size_nearby_is_another_object():
    steps = play(tracker(), [found((100, 100, 40, 40)), found((190, 100, 110, 110))])

    assert ids(steps)[0] != ids(steps)[1]


def test_a_track_ends_once_it_is_not_seen_for_long_enough():
    steps = play(tracker(1.0), [found((100, 100, 50, 50)), *[found()] * 7])

    ended = [index for index, step in enumerate(steps) if step.ended]
    assert ended == [6]  # 1.2 s after its sighting at 0.0: the first frame more than 1 s later
    assert steps[6].ended[0].media_ns == 0


def test_a_gap_in_the_frames_is_no_absence():
    yard = tracker(1.0)

    steps = play(yard, [found((100, 100, 50, 50))] * 3, fps=0.2)

    assert one_object(steps)
    assert not any(step.ended for step in steps)


def test_a_gap_of_a_minute_ends_every_track():
    steps = play(tracker(1.0), [found((100, 100, 50, 50))] * 2, fps=1 / 60)

    assert [len(step.ended) for step in steps] == [0, 1]
    assert ids(steps)[0] != ids(steps)[1]


def test_a_new_run_ends_every_track_of_the_old_one():
    yard = tracker()
    before = play(yard, [found((100, 100, 50, 50))], run="a", start_s=50)

    after = play(yard, [found((100, 100, 50, 50))], run="b")

    assert after[0].ended == before[0].sightings
    assert after[0].ended[0].run == "a"
    assert after[0].sightings[0].run == "b"
    assert ids(after) != ids(before)


def test_a_frame_that_is_not_newer_than_the_last_is_refused():
    yard = tracker()
    play(yard, [found((100, 100, 50, 50))], start_s=1)

    with pytest.raises(ValueError, match="does not come after"):
        yard.advance("a", SECOND, 0, found())
    assert len(yard) == 1


def test_the_end_of_a_camera_ends_its_tracks_once():
    yard = tracker()
    play(yard, [found((100, 100, 50, 50), (300, 100, 50, 50))])

    assert len(yard.end()) == 2
    assert yard.end() == ()


def test_no_name_is_given_twice_and_each_keeps_the_contract():
    yard = tracker(0.1)
    steps = play(yard, [found((100 + 700 * (i % 2), 100, 20, 20)) for i in range(20)])

    names = [name for names in ids(steps) for name in names]
    assert len(set(names)) == 20
    for step in steps:
        for track in step.sightings:
            TrackEnded(camera="yard", track=track.id, run="a", media_ns=0, captured_ns=0, looks=0)


def test_open_tracks_are_bounded(monkeypatch):
    monkeypatch.setattr(tracks, "MAX_TRACKS", 10)
    yard = tracker(60)
    frames = [found(*[(1000 * i + 100 * j, 100, 5, 5) for j in range(4)]) for i in range(5)]

    steps = play(yard, frames)

    assert len(yard) == 10
    assert sum(len(step.ended) for step in steps) == 10
    assert all(track.media_ns < 4 * SECOND / 5 for step in steps for track in step.ended)


spots = st.tuples(
    st.integers(0, 1920), st.integers(0, 1080), st.integers(1, 400), st.integers(1, 400)
)


@given(st.lists(st.lists(spots, max_size=6), min_size=1, max_size=12), st.integers(1, 30))
def test_every_detection_has_one_track_and_every_track_ends_once(frames, fps):
    yard = tracker(0.5)

    steps = play(yard, [found(*spots) for spots in frames], fps)

    begun = {track.id for step in steps for track in step.sightings}
    ended = [track.id for step in steps for track in step.ended] + [t.id for t in yard.end()]
    for step, boxes in zip(steps, frames, strict=True):
        assert len(step.sightings) == len(boxes)
        assert len({track.id for track in step.sightings}) == len(boxes)
        assert not set(step.sightings) & set(step.ended)
    assert sorted(ended) == sorted(begun)
    for earlier, step in enumerate(steps):
        for track in step.ended:
            assert all(track not in later.sightings for later in steps[earlier:])
