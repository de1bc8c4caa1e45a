import pytest

from training.splits import recording_of, side_of, split, tunes

RECORDINGS = [f"hall-2026-05-{number:04d}" for number in range(2000)]


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        pytest.param("hall-2026-05-01__17.jpg", "hall-2026-05-01", id="before-two-underscores"),
        pytest.param("hall__a__b.jpg", "hall", id="the-first-two-underscores"),
        pytest.param("a_b__1.jpg", "a_b", id="one-underscore-divides-nothing"),
        pytest.param("1-000042-3.jpg", "1-000042", id="before-the-last-dash"),
        pytest.param("single.jpg", "single", id="each-file-its-own"),
        pytest.param("hall.v2__1.jpeg", "hall.v2", id="dots-in-the-name"),
    ],
)
def test_the_recording_stands_in_the_file_name(name, recording) -> None:
    assert recording_of(name) == recording


def test_neighbours_of_a_recording_never_stand_on_two_sides() -> None:
    names = [f"{recording}__{crop}.jpg" for recording in RECORDINGS[:200] for crop in range(3)]
    train, judge = split(names)
    sides = [{recording_of(names[index]) for index in side} for side in (train, judge)]
    assert sides[0] & sides[1] == set()
    assert sorted(train + judge) == list(range(len(names)))


@pytest.mark.parametrize("judged", [0.0, 0.2, 0.5, 1.0])
def test_the_asked_part_of_the_recordings_judges(judged) -> None:
    found = sum(side_of(each, judged=judged) == "judge" for each in RECORDINGS) / len(RECORDINGS)
    assert found == pytest.approx(judged, abs=0.03)


def test_a_recording_stays_where_it_is_for_ever() -> None:
    sides = {name: side_of(name) for name in ("hall", "yard", "street", "door", "gate")}
    assert sides == {
        "hall": "judge", "yard": "train", "street": "train", "door": "train", "gate": "train",
    }  # fmt: skip


def test_half_of_the_judging_recordings_tune_whatever_their_side() -> None:
    judging = [each for each in RECORDINGS if side_of(each) == "judge"]
    assert sum(map(tunes, judging)) / len(judging) == pytest.approx(0.5, abs=0.08)
