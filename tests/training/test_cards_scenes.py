from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from producers.cards import CARDS, Card, Image
from producers.placing import Quad
from training.cards.camera import GRAINS, camera, noisy
from training.cards.compose import Placed, Scene, compose, hold_card, placed
from training.cards.cutting import agreement, crops, crops_of_detections, cut_out
from training.cards.generate import crop_name, main
from training.cards.hands import Limb, hand, seen_part
from training.cards.photographs import photographs, side_of
from training.cards.surfaces import device, grown, on_screen, smeared, worn

SQUARE: Quad = np.array([(20, 20), (60, 20), (60, 60), (20, 60)], np.float32)
PISTOL = next(card for card in CARDS if card.name == "pistol")
BLANK = next(card for card in CARDS if card.label == "blank")


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def grey(height: int = 90, width: int = 120) -> Image:
    return np.full((height, width, 3), 100, np.uint8)


def scene_with(*cards: Placed) -> Scene:
    return Scene(grey(360, 640), list(cards))


def pistol_at(
    box: tuple[float, float, float, float], visible: float = 1.0, blur: float = 0.0
) -> Placed:
    return Placed(PISTOL, box, visible, blur)


def test_a_card_in_the_open_is_seen_whole() -> None:
    assert seen_part(SQUARE, 100, 100) == 1


def test_a_card_half_out_of_the_frame_is_half_seen() -> None:
    assert seen_part(SQUARE, 40, 100) == pytest.approx(0.5, abs=0.03)


def test_what_lies_in_front_hides_a_card_once() -> None:
    lower_half = SQUARE + np.array([0, 20], np.float32)
    assert seen_part(SQUARE, 100, 100, [lower_half]) == pytest.approx(0.5, abs=0.03)
    assert seen_part(SQUARE, 100, 100, [lower_half, lower_half]) == pytest.approx(0.5, abs=0.03)


def test_an_arm_hides_a_stripe_of_a_card() -> None:
    arm = Limb(np.array([0.0, 40.0]), np.array([100.0, 40.0]), 10.0, (0, 0, 0))
    assert seen_part(SQUARE, 100, 100, [], [arm]) == pytest.approx(0.75, abs=0.04)


def test_hands_hide_a_part_of_the_card_that_they_hold_but_never_most_of_it() -> None:
    parts = [seen_part(SQUARE, 100, 100, [], hand(seeded(seed), SQUARE)) for seed in range(60)]
    assert min(parts) > 0.35
    assert np.mean(np.array(parts) < 0.97) > 0.7


def test_the_same_chances_draw_the_same_card_in_the_same_hand() -> None:
    first, second = grey(), grey()
    one = hold_card(seeded(4), first, PISTOL, SQUARE, way=(5.0, 0.0))
    hold_card(seeded(4), second, PISTOL, SQUARE, way=(5.0, 0.0))
    assert np.array_equal(first, second)
    assert one.blur > 0


def test_the_first_of_two_cards_lies_behind_the_second_and_its_hand() -> None:
    frame = grey()
    held = [
        hold_card(seeded(1), frame, BLANK, SQUARE),
        hold_card(seeded(2), frame, PISTOL, SQUARE + np.array([20, 0], np.float32)),
    ]
    behind, before = (seen for _, seen in placed(held, 120, 90))
    assert behind.visible <= 0.53
    assert before.visible > behind.visible


def test_a_quad_grows_around_its_middle() -> None:
    wider = grown(SQUARE, np.array([2.0, 1.0]))
    assert wider.tolist() == [[0, 20], [80, 20], [80, 60], [0, 60]]


def test_a_device_is_drawn_around_what_it_shows() -> None:
    for seed in range(8):
        frame = grey()
        body = device(seeded(seed), frame, SQUARE)
        assert (body.min(axis=0) < SQUARE.min(axis=0)).all()
        assert (body.max(axis=0) > SQUARE.max(axis=0)).all()
        assert not np.array_equal(frame, grey())


@pytest.mark.parametrize("treat", [worn, on_screen])
def test_paper_and_screens_keep_the_size_of_a_picture(treat: object) -> None:
    assert callable(treat)
    for seed in range(12):
        seen = treat(seeded(seed), grey(64, 48))
        assert seen.shape == (64, 48, 3)
        assert seen.dtype == np.uint8


def test_a_moving_card_is_smeared_along_its_way() -> None:
    frame = np.zeros((90, 120, 3), np.uint8)
    smeared(frame, np.full((8, 8, 3), 255, np.uint8), SQUARE, (12.0, 0.0))
    row, column = frame[40, :, 0], frame[:, 40, 0]
    assert ((row > 0) & (row < 250)).sum() > 8
    assert ((column > 0) & (column < 250)).sum() <= 4


@pytest.mark.parametrize("grain", GRAINS)
def test_noise_of_every_grain_has_its_strength_in_every_channel(grain: str) -> None:
    noise = noisy(seeded(3), grey(200, 300), 6.0, grain).astype(float) - 100
    assert noise.std(axis=(0, 1)) == pytest.approx([6, 6, 6], rel=0.2)


def test_soft_noise_is_shared_by_neighbours_and_fine_noise_is_not() -> None:
    def shared(grain: str) -> float:
        noise = noisy(seeded(3), grey(200, 300), 6.0, grain)[..., 1].astype(float) - 100
        return float((noise[:, 1:] * noise[:, :-1]).mean() / noise.var())

    assert shared("fine") < 0.1
    assert shared("soft") > 0.5


def test_one_camera_treats_every_frame_alike() -> None:
    for seed in range(30):
        eye = camera(seeded(seed))
        assert np.array_equal(eye.take(seeded(1), grey()), eye.take(seeded(1), grey()))
        assert eye.take(seeded(1), grey()).shape == grey().shape
        assert eye.softness >= 0


def test_cards_that_nobody_could_name_give_no_crop() -> None:
    for hopeless in (
        pistol_at((50, 50, 70, 65)),
        pistol_at((50, 50, 110, 95), visible=0.3),
        pistol_at((50, 50, 110, 95), blur=6.0),
    ):
        assert "small_gun" not in {label for label, _ in crops(seeded(), scene_with(hopeless))}
    assert "small_gun" in {
        label for label, _ in crops(seeded(), scene_with(pistol_at((50, 50, 110, 95))))
    }


def test_what_a_detector_finds_gets_the_label_of_the_card_that_is_there() -> None:
    scene = scene_with(pistol_at((100, 100, 200, 180)), Placed(BLANK, (400, 100, 500, 180), 1.0))
    boxes = [
        (105.0, 98.0, 198.0, 185.0),
        (398.0, 100.0, 500.0, 182.0),
        (300.0, 250.0, 360.0, 300.0),
    ]
    found = list(crops_of_detections(scene, boxes))
    assert [label for label, _ in found] == ["small_gun", "empty", "empty"]
    piece = cut_out(scene.image, boxes[0])
    assert piece is not None
    assert np.array_equal(found[0][1], piece)


def test_half_a_suspect_is_neither_its_label_nor_empty() -> None:
    scene = scene_with(pistol_at((100, 100, 200, 180)))
    half, inside = (100.0, 100.0, 145.0, 180.0), (130.0, 120.0, 160.0, 150.0)
    assert list(crops_of_detections(scene, [half, inside])) == []


def test_a_find_that_is_too_small_is_left_out() -> None:
    assert list(crops_of_detections(scene_with(), [(10.0, 10.0, 16.0, 16.0)])) == []


def test_agreement_is_intersection_over_union() -> None:
    assert agreement((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert agreement((0, 0, 10, 10), (20, 0, 30, 10)) == 0


def test_scenes_reach_from_twenty_pixels_to_half_the_frame() -> None:
    cards = [
        (card.box[3] - card.box[1]) / scene.image.shape[0]
        for scene in (compose(21, index) for index in range(60))
        for card in scene.cards
    ]
    assert min(cards) < 0.06
    assert max(cards) > 0.4


def test_a_photograph_stands_on_one_side_for_ever() -> None:
    sides = [side_of(f"{number}.jpg") for number in range(1000)]
    assert 300 < sides.count("judge") < 400
    assert side_of("/here/Beach.JPG") == side_of("beach.jpg")


def test_only_photographs_of_the_side_are_read(tmp_path: Path) -> None:
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), grey() + np.uint8(number * 10))
    names = {
        side: sum(side_of(f"{n}.jpg") == side for n in range(12)) for side in ("train", "judge")
    }
    assert len(photographs(tmp_path, "train")) == names["train"] > 0
    assert len(photographs(tmp_path, "judge")) == names["judge"] > 0
    assert photographs(None, "train") == []


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="add photographs"):
        photographs(tmp_path, "train")


def test_a_crops_name_begins_with_its_recording() -> None:
    assert crop_name(7, 12, 3) == "7-000012__3.jpg"


def test_scenes_are_written_the_same_by_any_number_of_processes(tmp_path: Path) -> None:
    for processes in ("1", "2"):
        options = ["--out", str(tmp_path / processes), "--scenes", "4", "--seed", "3"]
        result = CliRunner().invoke(main, [*options, "--processes", processes])
        assert result.exit_code == 0, result.output
    written = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.jpg"))
    assert len([path for path in written if path.parts[0] == "images"]) == 4
    for path in written:
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes()


def test_every_card_can_be_held() -> None:
    def held(card: Card) -> float:
        return hold_card(seeded(9), grey(), card, SQUARE).blur

    assert {held(card) for card in CARDS} == {0.0}
