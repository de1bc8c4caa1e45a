from itertools import pairwise

import numpy as np
import pytest

from producers.cards import CARDS, Image
from producers.placing import box_of, draw_card, paste, quad_of, visible_part
from producers.scenes import MIN_WIDTH, SyntheticScene

PISTOL = next(card for card in CARDS if card.name == "pistol")


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return SyntheticScene(seed=1)


def difference(a: Image, b: Image) -> Image:
    return np.abs(a.astype(np.int16) - b.astype(np.int16)).astype(np.uint8)


def test_a_seed_gives_the_same_frames_in_any_order() -> None:
    first, second = SyntheticScene(5, 320, 180), SyntheticScene(5, 320, 180)
    forwards = [first.frame(index) for index in (3, 40, 90)]
    backwards = [second.frame(index) for index in (90, 40, 3)]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))


def test_another_seed_gives_another_room() -> None:
    a, b = SyntheticScene(1, 320, 180).frame(0), SyntheticScene(2, 320, 180).frame(0)
    assert difference(a, b).mean() > 5


def test_frames_are_bgr_pictures_of_the_size_that_was_asked_for(scene: SyntheticScene) -> None:
    frame = scene.frame(0)
    assert frame.shape == (720, 1280, 3)
    assert frame.dtype == np.uint8


def test_the_first_minute_shows_guns_and_other_cards(scene: SyntheticScene) -> None:
    labels = [episode.label for episode in scene.episodes(60)]
    assert {"small_gun", "big_gun", "phone", "umbrella", "blank"} == set(labels)


def test_cards_come_one_after_another_with_gaps_between(scene: SyntheticScene) -> None:
    episodes = scene.episodes(300)
    gaps = [b.start_s - a.end_s for a, b in pairwise(episodes)]
    assert min(gaps) > 1
    assert all(episode.end_s - episode.start_s > 1.5 for episode in episodes)


def test_the_timeline_does_not_depend_on_how_far_it_is_asked_for(scene: SyntheticScene) -> None:
    assert scene.episodes(200)[: len(scene.episodes(50))] == scene.episodes(50)


def test_a_card_is_in_the_frame_where_the_truth_says(scene: SyntheticScene) -> None:
    empty = scene.frame(0)
    for episode in scene.episodes(30):
        index, box = episode.boxes[len(episode.boxes) // 2]
        changed = difference(scene.frame(index), empty).max(axis=2) > 60
        rows, columns = np.nonzero(changed)
        assert box[0] - 3 <= columns.min()
        assert columns.max() <= box[2] + 3
        assert box[1] - 3 <= rows.min()
        assert rows.max() <= box[3] + 3


def test_an_episode_starts_with_the_first_frame_in_which_the_card_is_seen_well(
    scene: SyntheticScene,
) -> None:
    for episode in scene.episodes(60):
        visit = scene._visit(int(episode.start_s // 7))
        seen = []
        for index in range(int((episode.end_s + 2) * 10)):
            quad = visit.place(index / 10, 1280, 720)
            box = None if quad is None else box_of(quad, 1280, 720)
            if quad is None or box is None or box[2] - box[0] < MIN_WIDTH:
                continue
            if visible_part(quad, 1280, 720) >= 0.6:
                seen.append(index / 10)
        assert (seen[0], seen[-1]) == (episode.start_s, episode.end_s)


def test_a_card_moves_less_than_its_width_between_frames(scene: SyntheticScene) -> None:
    for episode in scene.episodes(120):
        for (_, a), (_, b) in pairwise(episode.boxes):
            assert min(a[2], b[2]) > max(a[0], b[0])
            assert min(a[3], b[3]) > max(a[1], b[1])


def test_only_the_labels_that_are_asked_for_are_shown() -> None:
    scene = SyntheticScene(3, 320, 180, labels=["phone"])
    assert {episode.label for episode in scene.episodes(100)} == {"phone"}


def test_the_light_changes_and_the_picture_is_never_frozen() -> None:
    scene = SyntheticScene(1, 320, 180)
    means = [scene.frame(index).mean() for index in range(0, 400, 20)]
    assert max(means) - min(means) > 10
    assert difference(scene.frame(0), scene.frame(1)).max() > 0


def test_the_rate_changes_how_often_not_what_is_seen() -> None:
    slow, fast = SyntheticScene(4, 320, 180, fps=5), SyntheticScene(4, 320, 180, fps=20)
    for a, b in zip(slow.episodes(60), fast.episodes(60), strict=True):
        assert a.label == b.label
        assert a.start_s == pytest.approx(b.start_s, abs=0.2)


@pytest.mark.parametrize(("width", "height", "fps"), [(8, 180, 10), (320, 0, 10), (320, 180, 0)])
def test_impossible_scenes_are_refused(width: int, height: int, fps: float) -> None:
    with pytest.raises(ValueError, match="16x16"):
        SyntheticScene(1, width, height, fps)


def test_an_unturned_card_has_the_size_and_place_that_was_asked_for() -> None:
    quad = quad_of(PISTOL, (100, 50), 30, roll=0, yaw=0, pitch=0)
    assert np.round(quad).tolist() == [[80, 35], [120, 35], [120, 65], [80, 65]]


def test_half_of_a_card_at_the_edge_is_half_visible() -> None:
    quad = quad_of(PISTOL, (0, 50), 30, roll=0, yaw=0, pitch=0)
    assert visible_part(quad, 200, 100) == pytest.approx(0.5)
    assert box_of(quad, 200, 100) == pytest.approx((0, 35, 20, 65))


def test_what_lies_behind_another_card_is_not_visible() -> None:
    quad = quad_of(PISTOL, (100, 50), 30, roll=0, yaw=0, pitch=0)
    other = quad_of(PISTOL, (120, 50), 30, roll=0, yaw=0, pitch=0)
    assert visible_part(quad, 200, 100, [other]) == pytest.approx(0.5)


def test_a_card_outside_the_frame_is_neither_seen_nor_drawn() -> None:
    frame = np.zeros((100, 200, 3), np.uint8)
    quad = quad_of(PISTOL, (-60, 50), 30, roll=0, yaw=0, pitch=0)
    draw_card(frame, PISTOL, quad)
    assert not frame.any()
    assert visible_part(quad, 200, 100) == 0
    assert box_of(quad, 200, 100) is None


def test_pasting_fills_the_quad_and_nothing_else() -> None:
    frame = np.zeros((100, 200, 3), np.uint8)
    paste(frame, np.full((8, 8, 3), 255, np.uint8),
          quad_of(PISTOL, (100, 50), 30, roll=0, yaw=0, pitch=0))  # fmt: skip
    rows, columns = np.nonzero(frame[..., 0] > 128)
    # Half-covered edge pixels may count or not.
    extent = [rows.min(), rows.max(), columns.min(), columns.max()]
    assert extent == pytest.approx([35, 64, 80, 119], abs=1)
