"""`secondlook demo` from start to end: real broker, real Triton, real models, judged by itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
QUIET = "synthetic:?seconds=8&labels=phone,umbrella"
"""Cards that must not alert."""


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "secondlook.cli", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )


@pytest.fixture
def no_gun(tmp_path: Path) -> Path:
    path = tmp_path / "quiet.json"
    path.write_text(json.dumps({"fps": 10, "frames": 80, "episodes": []}))
    return path


@pytest.fixture
def a_gun(tmp_path: Path) -> Path:
    path = tmp_path / "gun.json"
    episodes = [{"label": "small_gun", "start_s": 1.0, "end_s": 7.0}]
    path.write_text(json.dumps({"fps": 10, "frames": 80, "episodes": episodes}))
    return path


def test_the_clips_guns_alert_once_each_and_nothing_else_does() -> None:
    result = demo()

    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "Every expected alert came, and no other." in said
    assert "look   rejected" in said
    assert "look   confirmed" in said
    assert "ALERT new" in said


@pytest.mark.parametrize("broker", [[], ["--amqtt"]], ids=["mosquitto", "amqtt"])
def test_a_source_without_guns_is_right_without_alerts(no_gun: Path, broker: list[str]) -> None:
    result = demo("--source", QUIET, "--truth", str(no_gun), *broker)

    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "Every expected alert came, and no other." in said


def test_an_expected_alert_that_does_not_come_is_status_1(a_gun: Path) -> None:
    result = demo("--source", QUIET, "--truth", str(a_gun))

    said = result.stdout + result.stderr
    assert result.returncode == 1, said
    assert "1 expected missing, 0 unexpected alerts." in said


def test_a_source_that_gives_no_frame_is_said(no_gun: Path) -> None:
    result = demo("--source", "file:/nowhere.mp4", "--truth", str(no_gun))

    assert result.returncode == 1
    assert "the source sent no frame within" in result.stderr
