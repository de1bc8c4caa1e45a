"""Clips, folders and scenes: their own time, their end, and everything a bad file can do."""

import contextlib
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from producers.clips import OpenedClip, OpenedFolder, Playback, read_picture
from producers.drawn import DrawnScene
from producers.sources import Clip, Damaged, Folder, Source, SourceEnded, Synthetic
from secondlook.errors import SourceError
from tests.producers.clip_files import picture, write_clip

MS = 1_000_000
S = 1000 * MS


def clip(path: Path, *, loop: bool = False, realtime: bool = False) -> OpenedClip:
    return OpenedClip(Clip(path, loop=loop, realtime=realtime))


def folder(path: Path, *, loop: bool = False, fps: float | None = None) -> OpenedFolder:
    return OpenedFolder(Folder(path, fps, loop=loop, realtime=False), 5.0)


def times(source: Source, most: int = 10_000, *, until_end: bool = True) -> list[int]:
    found: list[int] = []
    try:
        while len(found) < most:
            found.append(source.grab())
    except SourceEnded:
        if not until_end:
            raise
    return found


def test_a_clip_has_its_own_time(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 10, fps=20))
    assert times(source) == [i * 50 * MS for i in range(10)]
    assert source.fps == 20


def test_a_clip_gives_its_pictures_and_ends(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 5))
    for number in range(5):
        source.grab()
        image = source.picture()
        assert image.shape == (120, 160, 3)
        assert abs(float(image[60:].mean()) - picture(number)[60:].mean()) < 8
    with pytest.raises(SourceEnded, match="the clip ended: 5 pictures"):
        source.grab()


def test_a_looped_clip_carries_its_time_on(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 5, fps=25), loop=True)
    assert times(source, 12) == [i * 40 * MS for i in range(12)]


def test_every_picture_is_ours_to_change(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 3))
    source.grab()
    first = source.picture()
    first[:] = 255
    source.grab()
    assert source.picture().max() < 255
    assert (first == 255).all()


def test_a_clip_in_real_time_takes_its_time(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 11, fps=20), realtime=True)
    began = time.monotonic()
    assert len(times(source)) == 11
    assert time.monotonic() - began >= 0.5
    assert source.live


def test_a_clip_not_in_real_time_waits_for_nothing_and_loses_nothing(tmp_path) -> None:
    source = clip(write_clip(tmp_path / "a.mp4", 10, fps=0.1))
    assert times(source)[-1] == 90 * S
    assert not source.live


def test_after_a_standstill_playback_goes_on_without_a_burst(monkeypatch) -> None:
    now = [100 * S]
    slept: list[float] = []
    monkeypatch.setattr("producers.clips.time.monotonic_ns", lambda: now[0])
    monkeypatch.setattr("producers.clips.time.sleep", slept.append)
    playback = Playback(realtime=True)
    playback.wait_for(0)
    now[0] += 60 * S
    playback.wait_for(1 * S)
    playback.wait_for(2 * S)
    assert slept == [1.0]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"this is a diary, not a film\n" * 500, id="text"),
        pytest.param(bytes(100_000), id="zeros"),
    ],
)
def test_a_file_that_is_no_video_is_a_sentence(tmp_path, content) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.mp4 is no video"):
        clip(tmp_path / "a.mp4")


def test_a_file_that_is_not_there_is_a_sentence(tmp_path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        clip(tmp_path / "a.mp4")
    with pytest.raises(SourceError, match="there is no file"):
        clip(tmp_path)


def test_an_mp4_without_its_end_is_no_video(tmp_path) -> None:
    whole = write_clip(tmp_path / "a.mp4", 50).read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="its end is missing"):
        clip(tmp_path / "b.mp4")


def test_a_clip_cut_in_the_middle_says_how_much_of_it_could_be_read(tmp_path) -> None:
    whole = write_clip(tmp_path / "a.avi", 50, fourcc="MJPG").read_bytes()
    (tmp_path / "b.avi").write_bytes(whole[: len(whole) // 2])
    source = clip(tmp_path / "b.avi")
    with pytest.raises(SourceEnded, match=r"ended early.*damaged, \d+ of 50 pictures") as caught:
        times(source, until_end=False)
    assert 10 < int(str(caught.value).split(", ")[1].split()[0]) < 40


def test_a_clip_overwritten_in_the_middle_never_crashes(tmp_path) -> None:
    whole = bytearray(write_clip(tmp_path / "a.mp4", 50).read_bytes())
    middle = len(whole) // 3
    whole[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    (tmp_path / "b.mp4").write_bytes(whole)
    source = clip(tmp_path / "b.mp4")
    good = 0
    with contextlib.suppress(SourceEnded, SourceError):
        for _ in range(100):
            source.grab()
            with contextlib.suppress(Damaged):
                good += source.picture().shape == (120, 160, 3)
    assert 5 < good <= 50


def test_a_clip_of_tiny_pictures_is_refused(tmp_path) -> None:
    with pytest.raises(SourceError, match="8x8 pixels"):
        clip(write_clip(tmp_path / "a.avi", 3, width=8, height=8, fourcc="MJPG"))


def test_a_folder_shows_its_pictures_by_name(tmp_path) -> None:
    for number in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number, still=False))
    source = folder(tmp_path, fps=4)
    assert source.grab() == 0
    assert np.array_equal(source.picture(), picture(1))
    assert source.grab() == 250 * MS
    assert np.array_equal(source.picture(), picture(2))
    assert times(source) == [500 * MS]


def test_a_folder_without_a_rate_has_the_cameras(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), picture(1))
    source = folder(tmp_path, loop=True)
    assert source.fps == 5
    assert times(source, 3) == [0, 200 * MS, 400 * MS]


def test_what_is_no_picture_is_skipped(tmp_path) -> None:
    (tmp_path / "1.txt").write_text("not a picture")
    cv2.imwrite(str(tmp_path / "2.png"), picture(2))
    cv2.imwrite(str(tmp_path / "3.png"), np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "4").mkdir()
    (tmp_path / ".hidden").write_text("nor this")
    source = folder(tmp_path)
    source.grab()
    with pytest.raises(Damaged, match=r"1\.txt is no picture"):
        source.picture()
    source.grab()
    assert source.picture().shape == (120, 160, 3)
    source.grab()
    with pytest.raises(Damaged, match="1x1 pixels"):
        source.picture()
    with pytest.raises(SourceEnded, match="1 pictures"):
        source.grab()


def test_a_folder_without_any_picture_fails_instead_of_spinning(tmp_path) -> None:
    (tmp_path / "1.txt").write_text("not a picture")
    source = folder(tmp_path, loop=True)
    source.grab()
    with pytest.raises(Damaged):
        source.picture()
    with pytest.raises(SourceError, match="holds no picture"):
        source.grab()


def test_an_empty_folder_and_a_missing_one_are_sentences(tmp_path) -> None:
    with pytest.raises(SourceError, match="is empty"):
        folder(tmp_path)
    with pytest.raises(SourceError, match="there is no folder"):
        folder(tmp_path / "nowhere")


def test_a_picture_with_alpha_or_grey_comes_as_three_colours(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "alpha.png"), np.zeros((20, 20, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((20, 20), np.uint16))
    for name in ("alpha.png", "grey.png"):
        image = read_picture(tmp_path / name)
        assert image.shape == (20, 20, 3)
        assert image.dtype == np.uint8


def scene(**changes) -> DrawnScene:
    given = {
        "seed": 1,
        "width": 160,
        "height": 120,
        "fps": None,
        "labels": (),
        "seconds": None,
        "realtime": False,
    }
    return DrawnScene(Synthetic(**(given | changes)))


def test_a_scene_is_the_same_for_the_same_seed() -> None:
    one, same, other = scene(), scene(), scene(seed=2)
    for source in (one, same, other):
        times(source, 30)
    assert np.array_equal(one.picture(), same.picture())
    assert not np.array_equal(one.picture(), other.picture())


def test_a_scene_has_its_own_time_and_may_end() -> None:
    assert times(scene(fps=4.0, seconds=1.0)) == [0, 250 * MS, 500 * MS, 750 * MS]


def test_a_scene_of_unknown_labels_is_a_sentence() -> None:
    with pytest.raises(SourceError, match="synthetic"):
        scene(labels=("banana",))
