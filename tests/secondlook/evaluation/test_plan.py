"""What is asked for on the command line, and what is then played."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from secondlook.cli import main
from secondlook.commands.evaluate_images import crop_of, labelled
from secondlook.commands.evaluate_plan import APART_S, clips, photographs, waves
from secondlook.commands.evaluate_play import camera_of
from secondlook.errors import ConfigError
from tests.producers.clip_files import write_clip


def truth(path: Path, **changes: object) -> None:
    known = {"fps": 25, "frames": 50, "episodes": [], **changes}
    path.write_text(json.dumps(known))


def test_a_clip_is_played_with_the_truth_beside_it(tmp_path: Path) -> None:
    write_clip(tmp_path / "Front Door.mp4", 50)
    truth(tmp_path / "Front Door.json")

    (turn,) = clips([tmp_path / "Front Door.mp4"], fps=10)

    assert turn.played.camera == "front_door"
    assert turn.played.truth is not None
    assert turn.seconds == pytest.approx(2)
    assert (turn.played.fps, turn.played.expected) == (10, 20)


def test_a_folder_gives_its_clips_and_names_differ(tmp_path: Path) -> None:
    for name in ("a-b.mp4", "a_b.avi"):
        write_clip(tmp_path / name, 5, fourcc="mp4v" if name.endswith("mp4") else "MJPG")
    (tmp_path / "notes.txt").write_text("no clip")

    turns = clips([tmp_path], fps=10)

    assert [turn.played.camera for turn in turns] == ["a_b", "a_b_2"]
    assert turns[0].played.truth is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda p: p.mkdir(), "there is no clip in", id="empty-folder"),
        pytest.param(lambda p: p.write_text("x"), "is no clip that can be read", id="no-video"),
    ],
)
def test_what_is_no_clip_is_refused(make, says: str, tmp_path: Path) -> None:
    make(tmp_path / "c.mp4")

    with pytest.raises(ConfigError, match=says):
        clips([tmp_path / "c.mp4"], fps=10)


def test_clips_of_about_one_length_play_together(tmp_path: Path) -> None:
    for number, frames in enumerate((10, 30, 20)):
        write_clip(tmp_path / f"{number}.mp4", frames)

    together = waves(clips([tmp_path], fps=10), 2)

    assert [[turn.played.camera for turn in wave] for wave in together] == [["1", "2"], ["0"]]


def test_photographs_are_shared_out_and_lie_far_apart(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for place in ("in/b.jpg", "in/a.png", "in/deep/c.JPG"):
        (tmp_path / place).write_bytes(b"x")

    turns = photographs(tmp_path / "in", 2, tmp_path / "links")

    assert [turn.played.files for turn in turns] == [["a.png", "deep/c.JPG"], ["b.jpg"]]
    assert turns[0].seconds == 2 * APART_S
    links = sorted((tmp_path / "links" / "photographs_0").iterdir())
    assert [str(link.readlink())[-5:] for link in links] == ["a.png", "c.JPG"]


def test_a_camera_is_held_back_by_its_gate_and_never_blind(tmp_path: Path) -> None:
    write_clip(tmp_path / "c.mp4", 5)
    (turn,) = clips([tmp_path / "c.mp4"], fps=10)

    assert camera_of(turn, Path("/g"))["source"].endswith("c.mp4?realtime=0&gate=/g")
    assert camera_of(turn, None)["source"].endswith("c.mp4")
    assert camera_of(turn, None)["blank_after_s"] > 3600


def test_labelled_pictures_lie_in_a_folder_for_each_label(tmp_path: Path) -> None:
    for place in ("phone/1.jpg", "small_gun/more/2.jpg", "loose.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"x")

    assert [(label, path.name) for label, path in labelled(tmp_path)] == [
        ("phone", "1.jpg"),
        ("small_gun", "2.jpg"),
    ]
    with pytest.raises(ConfigError, match="needs a folder for each label"):
        labelled(tmp_path / "phone")


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_picture_file_becomes_a_crop(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"p.{ending}"
    cv2.imwrite(str(path), np.full((20, 30, 3), 80, np.uint8))

    crop = crop_of(7, path)

    assert crop is not None
    assert (crop.box.width, crop.box.height) == (30, 20)
    assert crop.jpeg.startswith(b"\xff\xd8")
    assert crop.id == "images-7.0"


def test_what_cannot_be_a_crop_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((8, 8, 3), np.uint8))

    assert crop_of(0, tmp_path / "empty.jpg") is None
    assert crop_of(0, tmp_path / "tiny.png") is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give clips, or --images FOLDER"),
        ([".", "--images", "."], "give clips, or --images FOLDER"),
        ([".", "--fail-under", "recall"], "write it as FIGURE=VALUE"),
        ([".", "--fail-over", "recall=much"], "write it as FIGURE=VALUE"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, says, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["evaluate", *arguments])

    assert result.exit_code not in (0, 1)
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_missing_library_is_said_with_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("secondlook.commands.evaluate.NEEDED", ("no_such_library_1",))

    result = CliRunner().invoke(main, ["evaluate", str(tmp_path)])

    assert result.exit_code == 1
    assert f"{sys.executable} -m pip install no_such_library_1" in result.output
