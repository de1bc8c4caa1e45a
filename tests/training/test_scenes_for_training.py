import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from producers.cards import CARDS
from training.cards.clip import FPS, SECONDS, SHOWN, truth
from training.cards.compose import Placed, Scene, compose
from training.cards.cutting import CLASSES, MARGIN, MIN_SIDE, SIDE, crops, cut, jitter, overlap
from training.cards.distractors import distractor
from training.cards.generate import side_of, write_scene, yolo_lines

DEMO = Path(__file__).parents[2] / "producers/demo"
PHONE = next(card for card in CARDS if card.label == "phone")
BLANK = next(card for card in CARDS if card.label == "blank")


def scene_with(*placed: Placed) -> Scene:
    return Scene(np.zeros((360, 640, 3), np.uint8), list(placed))


def test_a_scene_follows_from_seed_and_index() -> None:
    for index in (0, 1, 2, 3):
        a, b = compose(7, index), compose(7, index)
        assert np.array_equal(a.image, b.image)
        assert a.cards == b.cards
    assert not np.array_equal(compose(7, 0).image, compose(8, 0).image)


def test_scenes_show_every_label_and_sometimes_nothing() -> None:
    scenes = [compose(11, index) for index in range(40)]
    assert {card.card.label for scene in scenes for card in scene.cards} == {
        "small_gun", "big_gun", "phone", "umbrella", "blank",
    }  # fmt: skip
    assert any(not scene.cards for scene in scenes)
    assert any(scene.others for scene in scenes)


def test_boxes_lie_in_the_frame() -> None:
    for index in range(40):
        scene = compose(12, index)
        height, width = scene.image.shape[:2]
        for placed in scene.cards:
            left, top, right, bottom = placed.box
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


def test_a_crop_is_the_box_with_its_margin_stretched() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    piece = cut(frame, (40, 20, 80, 60))
    expected = frame[14:66, 34:86]
    assert piece is not None
    assert MARGIN == 0.15
    assert np.array_equal(piece, cv2.resize(expected, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def test_a_crop_at_the_edge_is_clipped() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    piece = cut(frame, (-10, 50, 30, 110))
    assert piece is not None
    expected = cv2.resize(frame[41:100, 0:36], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(piece, expected)


def test_a_tiny_box_gives_no_crop() -> None:
    assert cut(np.zeros((100, 200, 3), np.uint8), (10, 10, 20, 20)) is None


def test_jitter_moves_edges_by_less_than_a_fifth_of_the_box() -> None:
    random = np.random.default_rng(0)
    moved = np.array([jitter(random, (0, 0, 100, 50)) for _ in range(300)])
    assert np.abs(moved - (0, 0, 100, 50)).max(axis=0) == pytest.approx([15, 8, 15, 8], abs=4)


def test_blank_cards_and_lookalikes_are_empty() -> None:
    scene = scene_with(Placed(BLANK, (50, 50, 150, 130), 1.0))
    scene.others.append((300, 100, 380, 180))
    assert {label for label, _ in crops(np.random.default_rng(1), scene)} == {"empty"}


def test_a_crop_that_touches_a_card_is_never_called_empty() -> None:
    scene = scene_with(Placed(PHONE, (0, 0, 640, 360), 1.0))
    scene.others.append((300, 100, 380, 180))
    labels = [label for seed in range(20) for label, _ in crops(np.random.default_rng(seed), scene)]
    assert set(labels) == {"phone"}


def test_a_card_that_is_mostly_hidden_teaches_nothing() -> None:
    scene = scene_with(Placed(PHONE, (50, 50, 150, 130), 0.3))
    assert all(label == "empty" for label, _ in crops(np.random.default_rng(2), scene))


def test_overlap_is_a_part_of_the_smaller_box() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 25, 10)) == pytest.approx(0.5)
    assert overlap((0, 0, 10, 10), (20, 0, 25, 10)) == 0


def test_suspects_become_yolo_labels_and_blank_cards_do_not() -> None:
    scene = scene_with(
        Placed(PHONE, (64, 36, 128, 108), 1.0),
        Placed(BLANK, (200, 36, 300, 108), 1.0),
        Placed(PHONE, (400, 36, 464, 108), 0.2),
        Placed(PHONE, (500, 36, 560, 41), 1.0),
    )
    assert yolo_lines(scene) == ["0 0.150000 0.200000 0.100000 0.200000"]


def test_a_scene_is_written_for_both_trainings(tmp_path: Path) -> None:
    for folder in ("images/train", "labels/train", *(f"crops/train/{label}" for label in CLASSES)):
        (tmp_path / folder).mkdir(parents=True)
    index = next(i for i in range(2, 40) if compose(5, i).cards and side_of(i) == "train")
    cut_out = write_scene(index, seed=5, out=tmp_path)
    image = cv2.imread(str(tmp_path / f"images/train/5-{index:06d}.jpg"))
    assert image is not None
    assert max(image.shape) == 640
    assert (tmp_path / f"labels/train/5-{index:06d}.txt").exists()
    written = sorted(tmp_path.glob("crops/train/*/*.jpg"), key=lambda path: path.name)
    assert len(written) == cut_out > 0
    assert {path.name.split("__")[0] for path in written} == {f"5-{index:06d}"}
    crops_cut = [cv2.imread(str(path)) for path in written]
    assert all(crop is not None and min(crop.shape[:2]) >= MIN_SIDE for crop in crops_cut)


def test_a_scene_stays_on_its_side_of_the_split() -> None:
    sides = [side_of(index) for index in range(400)]
    assert sides.count("val") == 10
    assert sides == [side_of(index) for index in range(400)]


def test_distractors_are_of_many_kinds() -> None:
    drawn = [distractor(np.random.default_rng(seed)) for seed in range(60)]
    assert len({image.shape for image in drawn}) > 10
    assert all(image.dtype == np.uint8 and min(image.shape[:2]) > 40 for image in drawn)


def test_the_clip_that_is_shipped_has_the_truth_that_is_shipped() -> None:
    shipped = json.loads((DEMO / "demo.json").read_text())
    assert shipped == json.loads(json.dumps(truth()))
    clip = cv2.VideoCapture(str(DEMO / "demo.mp4"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == shipped["frames"] == FPS * SECONDS
    assert clip.get(cv2.CAP_PROP_FPS) == shipped["fps"]
    assert (DEMO / "demo.mp4").stat().st_size < 5_000_000


def test_the_clip_shows_each_label_long_enough_and_with_pauses() -> None:
    episodes = json.loads((DEMO / "demo.json").read_text())["episodes"]
    labels = [episode["label"] for episode in episodes]
    counts = {label: labels.count(label) for label in set(labels)}
    assert counts == {"phone": 3, "small_gun": 2, "big_gun": 2, "umbrella": 2, "blank": 2}
    assert all(1.5 <= e["end_s"] - e["start_s"] <= 3 for e in episodes)
    assert len(SHOWN) == len(episodes)
