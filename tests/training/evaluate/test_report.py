"""The report as a whole: it can be read, it loads nothing, and it says what is doubtful."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from tests.training.evaluate.recorded import LABELS, THERE, Recording, episode
from training.evaluate.__main__ import render, report

VOID = {"meta", "img", "br"}
ROOT = Path(__file__).parents[3]


class Checked(HTMLParser):
    """Notes what a page loads, its ids, and whether its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.loads.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def checked(page) -> Checked:
    html = render(page)
    found = Checked()
    found.feed(html)
    assert found.open == []
    assert all(load.startswith(("data:", "#")) for load in found.loads)
    assert re.findall(r"https?://|@import|url\((?!#)", html) == []
    assert len(found.ids) == len(set(found.ids))
    return found


def clips_run(folder: Path, **more):
    truth = {"episodes": [episode("small_gun", 10, 20), episode("big_gun", 30, 40, THERE)]}
    made = Recording(**more).clip(truth=truth)
    for index in (10, 11, 12):
        made.look(index, "small_gun", 0.95, track="gun")
        made.look(index, "phone", 0.9, track="phone", at=THERE)
    made.look(20, "small_gun", 0.85, track="wall", at=(0, 0, 50, 50), found=0.3)
    made.look(31, "<b>phone", 0.7, track="missed", at=THERE, outcome="rejected")
    (folder / "crops").mkdir(exist_ok=True)
    for line in made.lines:
        if line.kind == "crop":
            cv2.imwrite(str(folder / line.picture), np.full((40, 30, 3), 99, np.uint8))
    return made.alert(11, "small_gun").alert(45, "big_gun", number=1)


def test_a_report_of_clips_loads_nothing_and_shows_everything(tmp_path) -> None:
    page, said = report(clips_run(tmp_path).run(), tmp_path, Console(quiet=True))

    found = checked(page)
    for title in (
        "Against the targets",
        "One stage against two",
        "The detector's threshold",
        "The classifier's threshold",
        "Precision and recall of single looks",
        "Frames until the decision",
        "What crops show, and what the classifier said",
        "Missed episodes (1)",
        "False alarms (1)",
        "False crops that look most like an alert",
        "How it was played",
    ):
        assert title in found.text, title
    assert "1 of 2" in found.text
    assert len([load for load in found.loads if load.startswith("data:image/jpeg")]) >= 3
    assert "<b>phone" in found.text  # shown as it is, not taken for markup
    assert said["figures"]["recall"] == 0.5
    assert json.loads(json.dumps(said))["sweeps"]["rule"]


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        pytest.param(lambda made: made.run(complete=False), "Ended early", id="ctrl-c"),
        pytest.param(
            lambda made: made.run(lost={"detector: overwritten": 9}), "could not keep up", id="lost"
        ),
        pytest.param(
            lambda made: made.run(lost={"detector: expired": 9, "restarts of detector": 1}),
            "a part of the stack died",
            id="restart",
        ),
    ],
)
def test_what_makes_figures_doubtful_is_said_loudly(run, sentence, tmp_path) -> None:
    made = clips_run(tmp_path, mode="realtime")

    page, _ = report(run(made), tmp_path, Console(quiet=True))

    assert any(sentence in warning for warning in page.warnings)
    assert sentence in checked(page).text


def test_a_clip_without_truth_is_said_to_be_taken_as_empty(tmp_path) -> None:
    run = Recording().clip().look(10, "phone", 0.9).run()

    page, said = report(run, tmp_path, Console(quiet=True))

    assert "No truth beside yard.mp4" in checked(page).text
    assert said["figures"]["recall"] is None
    assert said["figures"]["false_crops"] == 1


def test_a_truth_without_boxes_is_said_to_be_matched_by_time(tmp_path) -> None:
    when = {"label": "small_gun", "start_s": 1, "end_s": 2}
    run = Recording().clip(truth={"episodes": [when]}).look(10, "small_gun", 0.9).run()

    page, said = report(run, tmp_path, Console(quiet=True))

    assert "matched by time" in checked(page).text
    assert said["clips"][0]["matched_by"] == "time"


def test_photographs_are_counted_per_hundred(tmp_path) -> None:
    made = Recording("photographs", min_score=0.05, operating_point=0.25).clip(4, files="abcd")
    made.look(1, "phone", 0.9, found=0.1).look(2, "small_gun", 0.9, track="t2", found=0.3)

    page, said = report(made.run(), tmp_path, Console(quiet=True))

    found = checked(page)
    assert said["figures"]["false_crops_per_100"] == 50
    assert said["figures"]["false_crops_confirmed_per_100"] == 25
    assert "50.0 % (" not in found.text
    assert "1 of 2" in found.text


def test_labelled_pictures_are_judged_one_by_one(tmp_path) -> None:
    made = Recording("images")
    for label in LABELS:
        made.picture(label, label, 0.9, "confirmed" if "gun" in label else "rejected")
    made.picture("phone", "small_gun", 0.97, "confirmed").picture("kettle", "empty", 0.6)

    page, said = report(made.run(), tmp_path, Console(quiet=True))

    found = checked(page)
    assert said["figures"]["accuracy"] == pytest.approx(5 / 7)
    assert said["figures"]["other_pictures_confirmed"] == 1
    assert [p["truth"] for p in said["wrong"]] == ["phone", "kettle"]
    assert "The classifier has no label kettle" in found.text
    assert "Calibration" in found.text


def test_a_record_becomes_files_and_a_table(tmp_path) -> None:
    made = clips_run(tmp_path)
    run = b"".join(line.line() for line in made.lines)
    (tmp_path / "run.jsonl").write_bytes(run + b'{"kind": "cut o')

    result = subprocess.run(
        [sys.executable, "-m", "training.evaluate", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Episodes found" in result.stdout
    assert "Ended early" in result.stdout
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == "secondlook/evaluation/1"


def test_a_folder_without_a_record_is_one_sentence(tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "training.evaluate", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )

    assert result.returncode == 1
    assert result.stderr.strip().endswith("holds no recorded run: No such file or directory")
