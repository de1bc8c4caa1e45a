import itertools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from producers.cards import CARDS, Card, Image
from producers.placing import Quad
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from secondlook.local.truth import Truth
from training.cards import clips
from training.cards.camera import Camera
from training.cards.carried import Carried
from training.cards.clips import FPS, clip_of, main
from training.cards.compose import Held, placed
from training.cards.plans import ALERTING, HEIGHT, WIDTH, plan

PISTOL = next(card for card in CARDS if card.name == "pistol")
BLANK = next(card for card in CARDS if card.label == "blank")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def planned(seed: int = 0, seconds: float = 120, only: tuple[str, ...] = ()) -> list[Carried]:
    return plan(np.random.default_rng(seed), seconds, only or None)


def test_a_clip_has_a_gun_about_every_six_seconds_and_more_lookalikes() -> None:
    for seed in range(3):
        carried = [one for one in planned(seed) if one.picture is None]
        guns = sorted(
            (one for one in carried if one.card.label in ALERTING), key=lambda one: one.start_s
        )
        assert len(guns) == 21
        assert len(carried) - len(guns) >= len(guns)
        assert all(a.start_s + a.stay_s < b.start_s for a, b in itertools.pairwise(guns))
        assert {one.card.label for one in carried} == {card.label for card in CARDS}


def test_lookalikes_and_guns_are_at_times_in_view_together() -> None:
    carried = planned(1)
    guns = [one for one in carried if one.card.label in ALERTING]
    others = [one for one in carried if one.card.label not in ALERTING]
    assert any(
        gun.start_s < other.start_s + other.stay_s and other.start_s < gun.start_s + gun.stay_s
        for gun in guns
        for other in others
    )


def test_guns_are_held_where_no_earlier_gun_was_just_held() -> None:
    for seed in range(3):
        guns = sorted(
            (one for one in planned(seed) if one.card.label in ALERTING),
            key=lambda one: one.start_s,
        )
        for earlier, later in itertools.pairwise(guns):
            across = abs(earlier.at[0] - later.at[0]) * WIDTH
            down = abs(earlier.at[1] - later.at[1]) * HEIGHT
            assert across > 40 or down > 40


def test_only_the_labels_that_are_asked_for_are_shown() -> None:
    asked = ("phone", "umbrella", "blank")
    shown = [one.card.label for one in planned(2, only=asked) if one.picture is None]
    assert set(shown) == set(asked)
    assert len(shown) > 40


def test_sizes_reach_from_far_away_to_near() -> None:
    widths = [one.tall * one.card.width for seed in range(3) for one in planned(seed)]
    assert min(widths) < 50
    assert max(widths) > 180


def test_what_is_carried_comes_from_outside_and_leaves_again() -> None:
    for one in planned(3):
        first, last = (
            one.place(at_s, WIDTH, HEIGHT)
            for at_s in (one.start_s, one.start_s + one.stay_s - 1e-6)
        )
        held = one.place(one.start_s + one.stay_s / 2, WIDTH, HEIGHT)
        assert first is not None
        assert last is not None
        assert held is not None
        for outside in (first.mean(axis=0), last.mean(axis=0)):
            assert not ((outside > 0) & (outside < (WIDTH, HEIGHT))).all()
        assert ((held.mean(axis=0) > 0) & (held.mean(axis=0) < (WIDTH, HEIGHT))).all()
        assert one.place(one.start_s - 0.1, WIDTH, HEIGHT) is None
        assert one.place(one.start_s + one.stay_s + 0.01, WIDTH, HEIGHT) is None


def test_a_card_moves_fast_when_it_comes_and_hardly_while_it_is_held() -> None:
    one = Carried(PISTOL, 1.0, 4.0, (0.5, 0.5), 100, 1)
    assert abs(one.way(1.1, 0.03, WIDTH, HEIGHT)[0]) > 20
    assert abs(one.way(3.0, 0.03, WIDTH, HEIGHT)[0]) < 3
    assert one.way(0.5, 0.03, WIDTH, HEIGHT) == (0, 0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold cards without drawing them: the truth follows from geometry alone."""

    def held(_random: object, _frame: Image, card: Card, quad: Quad, **_: object) -> Held:
        return Held(card, quad, quad)

    monkeypatch.setattr(clips, "hold_card", held)
    monkeypatch.setattr(Camera, "take", lambda _self, _random, frame: frame)
    monkeypatch.setattr(clips, "background", lambda *_: np.zeros((HEIGHT, WIDTH, 3), np.uint8))


@pytest.mark.usefixtures("small")
def test_an_episode_lasts_while_the_card_is_seen_well_enough() -> None:
    clip = clip_of(900_001, 12)
    for _ in clip.frames():
        pass
    for number, boxes in clip.boxes.items():
        one = clip.carried[number]
        assert one.picture is None
        for index, (left, top, right, bottom) in boxes:
            assert 0 <= left < right <= WIDTH
            assert 0 <= top < bottom <= HEIGHT
            assert one.place(index / FPS, WIDTH, HEIGHT) is not None
        for index in clip.well.get(number, []):
            left, _, right, _ = dict(boxes)[index]
            assert right - left >= MIN_WIDTH


@pytest.mark.usefixtures("small")
def test_the_truth_names_episodes_and_what_is_never_seen_well(tmp_path: Path) -> None:
    clip = clip_of(900_001, 3)
    clip.carried = [
        Carried(BLANK, 0.0, 3.0, (0.7, 0.5), 100, 0),
        Carried(PISTOL, 0.0, 3.0, (0.3, 0.5), 100, 0),
        Carried(PISTOL, 0.0, 3.0, (0.3, 0.2), 18, 0),
    ]
    for _ in clip.frames():
        pass
    truth = json.loads(json.dumps(clip.truth()))
    assert truth["schema"] == "secondlook/truth/1"
    assert sorted(episode["label"] for episode in truth["episodes"]) == ["blank", "small_gun"]
    assert [other["label"] for other in truth["others"]] == ["small_gun"]
    gun = next(e for e in truth["episodes"] if e["label"] == "small_gun")
    frames = [box[0] for box in gun["boxes"]]
    assert frames[0] / FPS <= gun["start_s"] < gun["end_s"] <= frames[-1] / FPS
    before = [box for box in gun["boxes"] if box[0] < round(gun["start_s"] * FPS)]
    for index, *_ in before:
        quad = clip.carried[1].place(index / FPS, WIDTH, HEIGHT)
        assert quad is not None
        ((_, seen),) = placed([Held(PISTOL, quad, quad)], WIDTH, HEIGHT)
        assert seen.visible < MIN_VISIBLE
    (tmp_path / "clip.json").write_text(json.dumps(truth))
    assert len(Truth.read(tmp_path / "clip.json").episodes) == 2


def test_a_clip_follows_from_its_seed() -> None:
    first, second, other = (clip_of(seed, 2) for seed in (900_002, 900_002, 900_003))
    assert np.array_equal(first.still, second.still)
    assert not np.array_equal(first.still, other.still)
    frames = [list(clip.frames())[12] for clip in (first, second)]
    assert np.array_equal(frames[0], frames[1])


@needs_ffmpeg
def test_clips_are_written_with_their_truth(tmp_path: Path) -> None:
    options = ["--clips", "1", "--seconds", "2", "--seed", "900004", "--only", "phone,blank"]
    result = CliRunner().invoke(main, ["--out", str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-000.json", "clip-000.mp4"]
    clip = cv2.VideoCapture(str(tmp_path / "clip-000.mp4"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == 2 * FPS
    assert (clip.get(cv2.CAP_PROP_FRAME_WIDTH), clip.get(cv2.CAP_PROP_FPS)) == (WIDTH, FPS)
    assert Truth.read(tmp_path / "clip-000.json").frames == 2 * FPS


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--seed", "5"], "800000"), (["--only", "knife"], "choose from small_gun")],
)
def test_a_mistake_is_said_before_any_work(tmp_path: Path, options: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert says in result.output
    assert not (tmp_path / "out").exists()
