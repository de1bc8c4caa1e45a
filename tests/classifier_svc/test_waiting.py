from hypothesis import given
from hypothesis import strategies as st

from classifier_svc.waiting import MAX_MARKERS, Entry, Waiting


def crop(
    seq: int, track: str = "1", camera: str = "yard", *, until_s: float = 1e9, size: int = 0
) -> Entry:
    key, name = f"{camera}-{track}.{seq}", f"{camera}-{track}"
    return Entry(key, "crop", camera, name, seq, seq, seq, size=size, until_s=until_s)


def seen(number: int, camera: str = "yard") -> Entry:
    return Entry(f"seen.{number}", "seen", camera, "", 0, 0, 0)


def ended(seq: int, track: str = "1", camera: str = "yard") -> Entry:
    return Entry(f"{camera}-{track}.ended", "ended", camera, f"{camera}-{track}", 0, 0, seq)


def filled(*entries: Entry) -> Waiting:
    waiting = Waiting()
    for entry in entries:
        waiting.add(entry)
    return waiting


def urgent_tracks(*tracks: str):
    return lambda entry: entry.track in tracks


def test_urgent_crops_go_first_and_each_kind_in_order() -> None:
    waiting = filled(crop(1, "a"), crop(2, "b"), crop(3, "a"), crop(4, "b"))
    chosen = waiting.next_crops(10, urgent_tracks("yard-b"))
    assert [entry.seq for entry in chosen] == [2, 4, 1, 3]
    assert [entry.seq for entry in waiting.next_crops(3, urgent_tracks("yard-b"))] == [2, 4, 1]
    assert len(waiting) == 4


def test_of_equally_urgent_tracks_the_one_heard_of_last_goes_first() -> None:
    waiting = filled(crop(1, "a"), crop(2, "b"), crop(3, "c"), crop(4, "b"))
    assert [e.seq for e in waiting.next_crops(9, urgent_tracks())] == [2, 4, 3, 1]


def test_cameras_take_turns_however_many_crops_each_has() -> None:
    waiting = filled(*(crop(n, camera="a") for n in range(1, 9)), crop(9, camera="b"))
    assert [e.seq for e in waiting.next_crops(4, urgent_tracks())] == [1, 9, 2, 3]


def test_a_camera_that_was_served_comes_last_also_where_the_model_takes_one_at_a_time() -> None:
    waiting = filled(*(crop(n, camera="abc"[n % 3]) for n in range(9)))
    served = []
    while len(waiting):
        [entry] = waiting.next_crops(1, urgent_tracks())
        waiting.remove([entry])
        served.append(entry.camera)
    assert "".join(served) == "abcabcabc"


def test_an_urgent_crop_goes_before_the_routine_ones_of_every_camera() -> None:
    waiting = filled(crop(1, "x", "a"), crop(2, "y", "b"), crop(3, "z", "b"))
    assert [e.seq for e in waiting.next_crops(2, urgent_tracks("b-z"))] == [3, 1]


def test_a_marker_waits_for_the_crops_before_it() -> None:
    first, second = crop(1), crop(3, "2")
    waiting = filled(seen(0), first, ended(2), seen(1), second, seen(2))
    assert [entry.key for entry in waiting.ready_markers()] == ["seen.0"]
    waiting.remove([*waiting.ready_markers(), first])
    assert [entry.key for entry in waiting.ready_markers()] == ["yard-1.ended", "seen.1"]
    waiting.remove([second])
    assert len(waiting.ready_markers()) == 3


def test_a_camera_does_not_wait_for_another() -> None:
    waiting = filled(crop(1, camera="a"), seen(0, "a"), seen(1, "b"))
    assert [entry.camera for entry in waiting.ready_markers()] == ["b"]


def test_what_is_too_old_is_found_by_its_time() -> None:
    waiting = filled(crop(1, until_s=51), crop(2, until_s=50), seen(0))
    assert [entry.seq for entry in waiting.overdue(50)] == [2]


def test_of_too_many_the_least_urgent_and_oldest_are_shed() -> None:
    waiting = filled(crop(1, "new"), crop(2, "old"), crop(3, "new"), crop(4, "old"))
    shed = waiting.excess(1, 1e9, urgent_tracks("yard-new"))
    assert [entry.seq for entry in shed] == [2, 4, 1]
    assert waiting.excess(4, 1e9, urgent_tracks()) == []


def test_what_is_too_much_is_shed_by_the_camera_that_has_most() -> None:
    waiting = filled(
        *(crop(n, camera="a") for n in range(1, 8)), crop(8, camera="b"), crop(9, camera="c")
    )
    shed = waiting.excess(4, 1e9, urgent_tracks("a-1"))
    assert [entry.seq for entry in shed] == [1, 2, 3, 4, 5]


def test_bytes_are_shed_by_the_camera_that_has_most_of_them() -> None:
    waiting = filled(
        crop(1, camera="a", size=10), crop(2, camera="b", size=90), crop(3, camera="b", size=90)
    )
    assert [entry.seq for entry in waiting.excess(9, 100, urgent_tracks())] == [2]
    waiting.remove([crop(2, camera="b")])
    assert waiting.size_bytes == 100


def test_removing_twice_counts_once() -> None:
    waiting = filled(crop(1), crop(2))
    waiting.remove([crop(1), crop(1)])
    assert len(waiting) == 1
    assert waiting.tracks() == {"yard-1"}


def test_markers_are_bounded() -> None:
    waiting = filled(crop(1), *(seen(number) for number in range(MAX_MARKERS + 5)))
    waiting.remove([crop(1)])
    markers = waiting.ready_markers()
    assert len(markers) <= MAX_MARKERS
    assert markers[-1].key == f"seen.{MAX_MARKERS + 4}"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=40), st.data())
def test_each_tracks_crops_are_taken_in_order_whatever_is_urgent(
    arrivals: list[tuple[str, str]], data: st.DataObject
) -> None:
    waiting = filled(
        *(crop(seq, track, camera) for seq, (track, camera) in enumerate(arrivals, start=1))
    )
    taken: list[Entry] = []
    while len(waiting):
        urgent = data.draw(st.sets(st.sampled_from([f"{c}-{t}" for c in "xy" for t in "abc"])))
        batch = waiting.next_crops(3, urgent_tracks(*urgent))
        waiting.remove(batch)
        taken += batch
    for track in {entry.track for entry in taken}:
        seqs = [entry.seq for entry in taken if entry.track == track]
        assert seqs == sorted(seqs)
    assert len(taken) == len(arrivals)
