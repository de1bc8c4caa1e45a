from pathlib import Path

import pytest

from secondlook.commands.evaluate_wish import wish_of
from secondlook.local.stack import Wish

OURS = """
alerts: {k: 3, n: 4, confirm_score: 0.9}
detector: {min_score: 0.3, spool: {directory: /precious/spool}}
classifier: {database: /precious/secondlook.sqlite3, max_batch: 4}
mqtt: {username: somebody, password: secret}
cameras: {front_door: {source: "rtsp://192.0.2.1/stream"}}
"""


def wish(folder: Path, *overrides: str, mode="fast", **more) -> tuple[Wish, float | None]:
    config_path = folder / "mine.yaml"
    config_path.write_text(OURS)
    (folder / "run").mkdir(exist_ok=True)
    given = {"config_path": config_path, "models": None, "triton": None, "min_score": None}
    return wish_of(mode, ["a", "b"], 6, folder / "run", overrides=overrides, **(given | more))


def test_thresholds_and_rule_are_the_users_and_the_cameras_are_ours(tmp_path) -> None:
    config = wish(tmp_path)[0].config

    assert (config.alerts.k, config.alerts.n, config.alerts.confirm_score) == (3, 4, 0.9)
    assert config.classifier.max_batch == 4
    assert list(config.cameras) == ["a", "b"]


def test_nothing_of_the_users_is_written_to_or_known(tmp_path) -> None:
    made, _ = wish(tmp_path)

    assert made.config.classifier.database.is_relative_to(tmp_path / "run")
    assert made.config.detector.spool.directory.is_relative_to(tmp_path / "run")
    assert made.config.mqtt.username is None
    assert made.own_broker


def test_what_is_set_on_the_command_line_wins(tmp_path) -> None:
    made, point = wish(tmp_path, "alerts.k=2", "detector.min_score=0.4", min_score=0.05)

    assert made.config.alerts.k == 2
    assert made.config.detector.min_score == 0.05
    assert point == 0.4


@pytest.mark.parametrize(("mode", "seen_every_s"), [("fast", 0), ("realtime", 1)])
def test_only_a_fast_run_asks_the_detector_about_every_frame(mode, seen_every_s, tmp_path) -> None:
    made, _ = wish(tmp_path, mode=mode)

    assert made.config.detector.seen_every_s == seen_every_s
    assert made.config.detector.in_flight == 6


def test_a_running_triton_is_used_where_one_is_named(tmp_path) -> None:
    made, _ = wish(tmp_path, triton="models.example:8001")

    assert made.config.triton.url == "models.example:8001"
    assert not made.own_triton


def test_without_a_configuration_the_defaults_count(tmp_path) -> None:
    made, point = wish(tmp_path, config_path=None)

    assert made.config.alerts.k == 2
    assert point is None
