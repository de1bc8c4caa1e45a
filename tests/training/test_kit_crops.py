import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra `training` is not installed")

from producers.cards import CARDS
from training.cards.compose import Placed, Scene
from training.kit_crops import found_crops
from training.points import Box, Detection

PHONE = next(card for card in CARDS if card.label == "phone")
BLANK = next(card for card in CARDS if card.label == "blank")
CARD, SHEET = (100.0, 100.0, 180.0, 160.0), (400.0, 100.0, 480.0, 160.0)
SCENE = Scene(
    np.zeros((720, 1280, 3), np.uint8), [Placed(PHONE, CARD, 1.0), Placed(BLANK, SHEET, 1.0)]
)


def labels(*boxes: Box) -> list[str]:
    return [label for label, _ in found_crops(SCENE, [Detection(b, 0.5, "suspect") for b in boxes])]


def test_the_detectors_own_finds_get_the_label_of_what_they_show() -> None:
    assert labels((98.0, 102.0, 184.0, 158.0)) == ["phone"]
    assert labels(SHEET) == ["empty"]
    assert labels((700.0, 500.0, 780.0, 560.0)) == ["empty"]


def test_half_a_card_teaches_nothing() -> None:
    assert labels((100.0, 100.0, 135.0, 160.0)) == []


def test_one_bad_background_does_not_rule() -> None:
    everywhere = [(x, 400.0, x + 60, 460.0) for x in np.arange(0.0, 1200, 80)]
    assert labels(*everywhere, CARD) == ["empty"] * 6 + ["phone"]
