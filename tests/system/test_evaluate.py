"""`secondlook evaluate` from start to end: real broker, real Triton, real models, a real report."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from producers.scenes import SyntheticScene

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SECONDS, FPS = 14, 10
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gun and a phone, one after the other, with boxes."""
    scene = SyntheticScene(3, labels=["small_gun", "phone"])
    path = tmp_path_factory.mktemp("clips") / "two.mp4"
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, FPS, (scene.width, scene.height))
    for index in range(SECONDS * FPS):
        writer.write(scene.frame(index))
    writer.release()
    episodes = [
        {
            "label": e.label,
            "start_s": e.start_s,
            "end_s": e.end_s,
            "boxes": [(index, *box) for index, box in e.boxes],
        }
        for e in scene.episodes(SECONDS)
    ]
    truth = {"fps": FPS, "frames": SECONDS * FPS, "episodes": episodes}
    path.with_suffix(".json").write_text(json.dumps(truth))
    assert sorted(str(e["label"]) for e in episodes) == ["phone", "small_gun"]
    return path


def arguments(*more: object) -> list[str]:
    return [sys.executable, "-m", "secondlook.cli", "evaluate", *map(str, more)]


def evaluate(*more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(*more), capture_output=True, text=True, timeout=200, check=False
    )


@pytest.fixture(scope="module")
def played(clip: Path) -> Path:
    out = clip.parent / "report"
    result = evaluate(clip, "--out", out, "--fail-under", "recall=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Episodes found" in result.stdout
    return out


def test_a_clip_is_played_without_losing_a_frame_and_reported(played: Path) -> None:
    said = json.loads((played / "report.json").read_text())

    figures = said["figures"]
    assert said["complete"]
    assert (figures["frames"], figures["frames_lost"]) == (SECONDS * FPS, 0)
    assert (figures["episodes"], figures["found"]) == (1, 1)
    assert figures["crops"] > 3
    assert figures["delay_p50_s"] is None
    assert said["clips"][0]["matched_by"] == "boxes"
    assert all(point["crops"] <= figures["crops"] for point in said["sweeps"]["detector_score"])
    assert "Missed episodes (0)" in (played / "report.html").read_text()


def test_the_crops_of_a_run_can_be_judged_again_as_labelled_pictures(
    played: Path, tmp_path: Path
) -> None:
    crops = sorted((played / "crops").glob("*.jpg"))
    (tmp_path / "phone").mkdir()
    for crop in crops:
        shutil.copy(crop, tmp_path / "phone")

    result = evaluate("--images", tmp_path, "--out", tmp_path / "out", "--fail-under", "accuracy=1")

    # Some of them are guns, so not all can be right.
    assert result.returncode == 1, result.stdout + result.stderr
    assert "wished at least 1" in result.stdout
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["figures"]
    assert (figures["pictures"], figures["not_judged"]) == (len(crops), 0)
    assert 0 < figures["accuracy"] < 1


def test_ctrl_c_gives_a_report_of_what_was_played(clip: Path, tmp_path: Path) -> None:
    record = tmp_path / "run.jsonl"
    process = subprocess.Popen(
        arguments(clip, "--realtime", "--out", tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not record.exists() or record.read_bytes().count(b'"kind":"frame"') < 10:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=100)
    finally:
        process.kill()

    assert process.returncode == 130, said
    assert "Ended early" in said
    assert not json.loads((tmp_path / "report.json").read_text())["complete"]
