from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_svc.review import (
    DAY_NS,
    corrections,
    difference_hash,
    excess,
    is_known,
    label_for,
)
from secondlook.config import Review
from secondlook.messages import Feedback
from secondlook.review_set import ALERTS, UNSORTED, Kept, is_stem, stem_of
from tests.secondlook.review_notes import ULID, crop, kept, note

ALERT = f"yard-{ULID[:-1]}a"


def picture(seed: int) -> Any:
    tiny = np.random.default_rng(seed).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    return cv2.resize(tiny, (180, 160), interpolation=cv2.INTER_CUBIC)


def distance(a: Any, b: Any) -> int:
    return (difference_hash(a) ^ difference_hash(b)).bit_count()


def test_the_hash_is_one_bit_for_each_pair_of_neighbours() -> None:
    ramp = np.tile(np.arange(0, 180, 20, dtype=np.uint8), (8, 1))
    rising = np.repeat(ramp[..., None], 3, axis=2)
    assert difference_hash(rising) == 2**64 - 1
    assert difference_hash(rising[:, ::-1].copy()) == 0
    one_dark = rising.copy()
    one_dark[0, 1] = 0
    assert difference_hash(one_dark) == 2**63 - 1


def test_the_hash_stays_with_size_light_and_compression_and_differs_for_other_pictures() -> None:
    image = picture(1)
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    same = [
        cv2.resize(image, (61, 53), interpolation=cv2.INTER_AREA),
        cv2.convertScaleAbs(image, alpha=0.7, beta=10),
        cv2.imdecode(packed, cv2.IMREAD_COLOR),
    ]
    assert max(distance(image, other) for other in same) < Review().min_distance
    assert min(distance(image, picture(seed)) for seed in range(2, 30)) > 2 * Review().min_distance


@pytest.mark.parametrize(
    ("outcome", "keep", "goes_to"),
    [
        ("rejected", ["rejected"], "phone"),
        ("rejected", ["uncertain", "corrected", "confirmed"], None),
        ("uncertain", ["uncertain"], UNSORTED),
        ("uncertain", ["rejected"], None),
        ("confirmed", ["corrected"], ALERTS),
        ("confirmed", ["corrected", "confirmed"], "phone"),
        ("confirmed", ["rejected", "uncertain"], None),
    ],
)
def test_where_a_look_goes(outcome: Any, keep: Any, goes_to: str | None) -> None:
    assert label_for(outcome, "phone", Review(keep=keep)) == goes_to


@pytest.mark.parametrize(
    ("bits", "is_again"),
    [
        pytest.param(5, True, id="five-bits"),
        pytest.param(6, False, id="six-bits-are-another-picture"),
    ],
)
def test_a_picture_that_hardly_differs_is_known(bits: int, is_again: bool) -> None:
    new = note(2, hash=(1 << bits) - 1)
    assert is_known(new, "phone", [kept("phone", note(1, hash=0))], 6) == is_again


@pytest.mark.parametrize(
    ("label", "changes", "is_again"),
    [
        pytest.param("phone", {}, True, id="under-its-label"),
        pytest.param("umbrella", {}, False, id="under-another-label"),
        pytest.param("umbrella", {"labelled_by": "review"}, True, id="put-right-by-a-human"),
        pytest.param("umbrella", {"labelled_by": "feedback"}, True, id="by-feedback"),
    ],
)
def test_a_look_is_compared_with_its_label_and_with_what_a_human_said(
    label: str, changes: dict[str, Any], is_again: bool
) -> None:
    others = [kept(label, note(1, hash=7, **changes)), kept("phone")]
    assert is_known(note(2, hash=7), "phone", others, 6) == is_again


def test_a_crop_behind_an_alert_is_compared_within_its_track_alone() -> None:
    here = kept(ALERTS, note(1, hash=7, outcome="confirmed", track="1"))
    again = note(2, hash=7, outcome="confirmed", track="1")
    elsewhere = note(2, hash=7, outcome="confirmed", track="2")
    assert is_known(again, ALERTS, [here], 6)
    assert not is_known(elsewhere, ALERTS, [here], 6)


@pytest.mark.parametrize(
    ("before", "now", "is_again"),
    [("a", "a", True), (None, "a", True), ("a", None, True), ("a", "b", False)],
)
def test_each_alert_of_a_track_has_its_own_crop(
    before: str | None, now: str | None, is_again: bool
) -> None:
    first = {"alert": before} if before else {}
    second = {"alert": now} if now else {}
    here = kept(ALERTS, note(1, hash=7, outcome="confirmed", **first))
    assert is_known(note(2, hash=7, outcome="confirmed", **second), ALERTS, [here], 6) == is_again


def test_a_crop_that_comes_twice_is_known_even_if_everything_is_kept() -> None:
    assert is_known(note(1), "phone", [kept("umbrella", note(1))], 0)
    assert not is_known(note(2, hash=1), "phone", [kept("phone", note(1, hash=1))], 0)


def names(going: list[Kept]) -> list[int]:
    return [each.kept_ns for each in going]


def test_beyond_the_count_the_oldest_goes_first_and_a_humans_labels_last() -> None:
    by_model = [kept("phone", note(n), at=n) for n in (5, 3)]
    by_human = [kept("phone", note(1, labelled_by="review"), at=1), kept("phone", None, at=2)]
    everything = by_model + by_human
    assert names(excess(everything, Review(max_count=4), 10)) == []
    assert names(excess(everything, Review(max_count=3), 10)) == [3]
    assert names(excess(everything, Review(max_count=1), 10)) == [3, 5, 1]


def test_beyond_the_size_no_more_goes_than_must() -> None:
    crops = [kept("phone", note(n), at=n, size=400_000) for n in (1, 2, 3)]
    assert names(excess(crops, Review(max_mb=1), 10)) == [1]
    exactly = [kept("phone", note(n), at=n, size=500_000) for n in (1, 2)]
    assert names(excess(exactly, Review(max_mb=1), 10)) == []


def test_what_no_human_has_labelled_goes_after_its_days() -> None:
    crops = [
        kept("phone", note(1), at=DAY_NS),
        kept("phone", note(2), at=2 * DAY_NS),
        kept("phone", note(3, labelled_by="feedback"), at=0),
    ]
    assert names(excess(crops, Review(days=1), 3 * DAY_NS)) == [DAY_NS]


@pytest.mark.parametrize(("most", "going"), [(2, [1]), (1, [1, 2 * DAY_NS])])
def test_what_is_too_old_makes_room_and_goes_only_once(most: int, going: list[int]) -> None:
    crops = [kept("phone", note(n), at=at) for n, at in enumerate((1, 2 * DAY_NS, 3 * DAY_NS))]
    assert names(excess(crops, Review(days=1.5, max_count=most), 3 * DAY_NS)) == going


def behind_an_alert() -> list[Kept]:
    """Two confirmed looks, one before the alert began; a rejected one; another track's."""
    return [
        kept(ALERTS, note(1, outcome="confirmed", label="small_gun")),
        kept(ALERTS, note(2, outcome="confirmed", label="big_gun", alert="a",
                          alert_label="small_gun")),
        kept("phone", note(3, alert="a", alert_label="small_gun")),
        kept(ALERTS, note(4, outcome="confirmed", label="small_gun", alert="b",
                          alert_label="small_gun")),
        kept(ALERTS, note(5, outcome="confirmed", label="small_gun", track="2")),
    ]  # fmt: skip


def told(crops: list[Kept], truth: Any, label: str | None = None) -> list[tuple[Any, ...]]:
    moves = corrections(crops, Feedback(id=ALERT, truth=truth, label=label))
    return [(m.note.id, m.label, m.note.labelled_by, m.note.hint) for m in moves]


def test_a_true_alarm_gives_its_label_to_the_looks_that_were_confirmed() -> None:
    assert told(behind_an_alert(), "true_alarm") == [
        ("yard-1.1", "small_gun", "feedback", None),
        ("yard-1.2", "small_gun", "feedback", None),
        ("yard-1.3", UNSORTED, "model", "of a true alarm: small_gun"),
    ]
    assert told(behind_an_alert(), "true_alarm", "big_gun")[0][1] == "big_gun"


def test_a_false_alarm_gives_the_label_that_is_said() -> None:
    assert told(behind_an_alert(), "false_alarm", "umbrella") == [
        ("yard-1.1", "umbrella", "feedback", None),
        ("yard-1.2", "umbrella", "feedback", None),
    ]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        pytest.param(None, "not small_gun", id="nothing-said"),
        pytest.param("small_gun", "not small_gun", id="contradicts-itself"),
        pytest.param("phoone", "said to be phoone", id="a-label-that-the-model-does-not-know"),
    ],
)
def test_a_false_alarm_without_a_usable_label_stays_unsorted(said: str | None, hint: str) -> None:
    moves = told(behind_an_alert(), "false_alarm", said)
    assert [(label, by, why) for _, label, by, why in moves] == [(UNSORTED, "feedback", hint)] * 2


def test_feedback_given_again_changes_nothing_and_another_word_counts() -> None:
    crops = behind_an_alert()
    first = corrections(crops, Feedback(id=ALERT, truth="false_alarm", label="phone"))
    done = {move.kept.stem: kept(move.label, move.note) for move in first}
    after = [done.get(each.stem, each) for each in crops]
    assert told(after, "false_alarm", "phone") == []
    assert [label for _, label, by, _ in told(after, "true_alarm") if by == "feedback"] == [
        "small_gun"
    ] * 2


def test_what_was_labelled_crop_by_crop_stays() -> None:
    mine = note(2, outcome="confirmed", alert="a", alert_label="small_gun", labelled_by="review")
    assert told([kept("umbrella", mine)], "true_alarm") == []
    assert told([kept("phone", note(1)), kept("phone")], "true_alarm") == []


@given(
    st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.integers(1, 900_000)), max_size=20),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 100),
)
def test_what_stays_keeps_the_limits_and_humans_labels_go_last(
    crops: list[tuple[int, bool, int]], most: int, most_mb: int, days: int
) -> None:
    rule = Review(max_count=most, max_mb=most_mb, days=days)
    now_ns = 200 * DAY_NS
    everything = [
        kept(
            "phone", note(n, labelled_by="review" if human else "model"), at=day * DAY_NS, size=size
        )
        for n, (day, human, size) in enumerate(crops, 1)
    ]
    going = excess(everything, rule, now_ns)
    stays = [each for each in everything if each not in going]
    assert len({each.stem for each in going}) == len(going)
    assert len(stays) <= most
    assert sum(each.size for each in stays) <= most_mb * 1_000_000
    assert all(each.by_human or each.kept_ns >= now_ns - days * DAY_NS for each in stays)
    if any(each.by_human for each in going):
        assert all(each.by_human for each in stays), "a human's label goes after all others"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 64), st.floats(0.3, 1.0))
def test_a_crop_is_like_itself_and_like_a_darker_one(seed: int, least: int, light: float) -> None:
    image = picture(seed)
    hash_ = difference_hash(image)
    assert 0 <= hash_ < 2**64
    again = kept("phone", note(1, hash=hash_))
    assert is_known(note(2, hash=hash_), "phone", [again], least)
    darker = cv2.convertScaleAbs(image, alpha=light)
    assert is_known(note(3, hash=difference_hash(darker)), "phone", [again], 16)


@given(
    st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True),
    st.from_regex(r"[0-9a-z-]{1,64}", fullmatch=True),
    st.integers(0, 10**9 - 1),
)
def test_a_crops_files_have_names_that_are_taken_for_ours(
    camera: str, track: str, number: int
) -> None:
    made = crop(number, camera=camera, track=track)
    stem = stem_of(made)
    assert is_stem(stem)
    assert "/" not in stem
    recording, mark, rest = stem.partition("__")
    assert mark
    assert rest == made.id
    assert not recording.startswith((".", "-"))
