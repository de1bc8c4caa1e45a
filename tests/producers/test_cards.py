import cv2
import numpy as np
import pytest

from producers.cards import CARDS, LABELS, Card, cards_of, rasterise
from producers.drawing import Shape

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def test_every_label_has_several_cards() -> None:
    assert {label: sum(c.label == label for c in CARDS) >= 5 for label in LABELS} == dict.fromkeys(
        LABELS, True
    )


def test_no_two_cards_share_a_name() -> None:
    assert len({card.name for card in CARDS}) == len(CARDS)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_picture_stays_on_its_card(card: Card) -> None:
    points = np.array([p for shape in card.shapes for p in shape.points]).reshape(-1, 2)
    assert (points >= 0).all()
    assert (points <= (card.width, 1)).all()


@pytest.mark.parametrize("height", [9, 64, 301])
def test_a_card_is_drawn_at_any_size_in_its_shape(height: int) -> None:
    card = next(card for card in CARDS if card.name == "pistol")
    image = rasterise(card, height)
    assert image.shape == (height, round(height * 4 / 3), 3)
    assert image.dtype == np.uint8


def test_a_small_drawing_has_the_colours_of_a_large_one() -> None:
    for card in CARDS:
        small, large = (rasterise(card, height).mean(axis=(0, 1)) for height in (48, 384))
        assert small == pytest.approx(large, abs=3), card.name


def test_colours_are_red_green_blue_in_the_data_and_bgr_in_the_picture() -> None:
    card = Card(
        "blank", "red", 1.0, (255, 255, 255), (0, 0, 0), 0.0, (Shape(SQUARE, (200, 10, 20)),)
    )
    assert rasterise(card, 40)[20, 20].tolist() == [20, 10, 200]


def test_a_shape_lies_where_its_coordinates_say() -> None:
    card = Card(
        "blank", "square", 1.0, (255, 255, 255), (0, 0, 0), 0.0, (Shape(SQUARE, (0, 0, 0)),)
    )
    dark = np.argwhere(rasterise(card, 100)[..., 0] < 128)
    assert dark.min(axis=0) == pytest.approx([25, 25], abs=1)
    assert dark.max(axis=0) == pytest.approx([74, 74], abs=1)


def test_edges_are_smooth() -> None:
    card = next(card for card in CARDS if card.name == "umbrella_tilted")
    assert len(np.unique(rasterise(card, 80))) > 100


def test_the_pictures_of_different_labels_differ() -> None:
    drawn = [(c.label, cv2.resize(rasterise(c, 64), (64, 64)).astype(float)) for c in CARDS]
    for label, image in drawn:
        for other, second in drawn:
            if label != other:
                assert np.abs(image - second).mean() > 3


def test_cards_are_chosen_by_label() -> None:
    assert {card.label for card in cards_of(["phone", "blank"])} == {"phone", "blank"}
    assert cards_of() == CARDS


@pytest.mark.parametrize("labels", [["knife"], []])
def test_a_label_that_no_card_shows_is_refused(labels: list[str]) -> None:
    with pytest.raises(ValueError, match="choose from small_gun, big_gun"):
        cards_of(labels)
