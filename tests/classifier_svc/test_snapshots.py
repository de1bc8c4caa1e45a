from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from classifier_svc.episodes import Changed
from classifier_svc.snapshots import Snapshots
from secondlook import config
from secondlook.adapters.frames import FrameReader, FrameWriter
from secondlook.jpeg import comment_of
from tests.classifier_svc.scene import Scene, look

BERLIN = ZoneInfo("Europe/Berlin")


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def crop(width: int = 100, height: int = 80) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))[1].tobytes()


def snapshots(folder: Path, **rule: object) -> Snapshots:
    return Snapshots(FrameReader(folder), config.Snapshots.model_validate(rule), BERLIN)


@pytest.fixture
def change() -> Changed:
    scene = Scene()
    scene.looks((0, "s"), (0.2, "s"))
    return scene.changes[0]


@pytest.fixture
def frame(tmp_path: Path, change: Changed) -> Iterator[np.ndarray]:
    writer = FrameWriter(tmp_path, "yard", 100_000_000)
    pixels = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    writer.write(change.episode.shown.frame, pixels)
    yield pixels
    writer.close()


def test_a_snapshot_comes_from_the_frame_while_it_is_there(
    tmp_path: Path, change: Changed, frame: np.ndarray
) -> None:
    one = snapshots(tmp_path, max_kb=2000)
    drawn = one.draw(change, one.frame(change.episode.shown), crop())
    assert decoded(drawn.snapshot).shape[1] == 1280
    assert comment_of(drawn.snapshot) == change.episode.snapshot_id
    assert (drawn.crop, drawn.clean) == (None, None), "not asked for"
    assert not one.needs_crop(frame)
    assert one.counts == {"frame": 1}


def test_warming_up_draws_but_counts_nothing(tmp_path: Path) -> None:
    one = snapshots(tmp_path)
    one.warm_up()
    assert not one.counts


@pytest.mark.parametrize(("max_width", "max_kb"), [(640, 50), (1280, 300), (1920, 300)])
def test_no_picture_is_wider_or_larger_than_configured(
    tmp_path: Path, change: Changed, frame: np.ndarray, max_width: int, max_kb: int
) -> None:
    one = snapshots(tmp_path, max_width=max_width, max_kb=max_kb, crop=True, clean=True)
    drawn = one.draw(change, one.frame(change.episode.shown), crop(2500, 20))
    for data in (drawn.snapshot, drawn.crop, drawn.clean):
        assert data
        assert len(data) <= max_kb * 1000
        assert decoded(data).shape[1] <= max_width
        assert comment_of(data) == change.episode.snapshot_id


def test_clean_pictures_are_not_drawn_upon(tmp_path: Path, change: Changed) -> None:
    writer = FrameWriter(tmp_path, "yard", 100_000_000)
    writer.write(change.episode.shown.frame, np.full((1080, 1920, 3), 128, np.uint8))
    one = snapshots(tmp_path, crop=True, clean=True)
    drawn = one.draw(change, one.frame(change.episode.shown), crop(100, 80))
    writer.close()
    assert decoded(drawn.clean or b"").shape == (720, 1280, 3)
    assert decoded(drawn.crop or b"").shape == (80, 100, 3)
    for data in (drawn.clean, drawn.crop):
        assert abs(decoded(data or b"").astype(int) - 128).max() < 3


def test_a_snapshot_of_an_expired_frame_comes_from_the_crop(
    tmp_path: Path, change: Changed
) -> None:
    one = snapshots(tmp_path, clean=True)
    assert one.needs_crop(one.frame(change.episode.shown))
    drawn = one.draw(change, one.frame(change.episode.shown), crop(100, 80))
    assert decoded(drawn.snapshot).shape[1] == 320
    assert decoded(drawn.clean or b"").shape == (80, 100, 3)
    assert one.counts == {"crop": 1}


@pytest.mark.parametrize("rubbish", [None, b"rubbish"])
def test_an_alert_without_any_picture_gets_a_note(
    tmp_path: Path, change: Changed, rubbish: bytes | None
) -> None:
    one = snapshots(tmp_path, crop=True, clean=True)
    drawn = one.draw(change, one.frame(change.episode.shown), rubbish)
    assert comment_of(drawn.snapshot) == change.episode.snapshot_id
    assert (drawn.crop, drawn.clean) == (b"", b""), "there is none, which is said"
    assert one.counts == {"none": 1}


def test_label_scores_and_local_time_stand_on_it(tmp_path: Path, change: Changed) -> None:
    one = snapshots(tmp_path)
    caption = one._caption(change, None)
    assert caption.tag == "small_gun 0.90"
    assert caption.parts == ["yard", "2026-11-22 07:13:20 CET", "found as suspect 0.60"]


def test_an_unverified_one_says_so(tmp_path: Path) -> None:
    scene = Scene()
    scene.silent(look(0, "u", classifier=None), look(1, "u", classifier=None))
    caption = snapshots(tmp_path)._caption(scene.changes[0], None)
    assert (caption.tag, caption.parts[2]) == ("unverified", "found as suspect 0.60")
