"""The command line without a broker: what it says, and the exit status it gives."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from secondlook import samples, topics
from secondlook.cli import main
from secondlook.commands import doctor, options
from secondlook.commands.board import Board, Rate
from secondlook.commands.finding import Finding
from secondlook.commands.lines import json_line
from secondlook.commands.options import Since
from secondlook.commands.saving import Saver
from secondlook.errors import EXIT_CONFIG, ConfigError, InstallError
from secondlook.jpeg import with_comment
from secondlook.local import folders, stack
from secondlook.messages import Stats

(VERDICT,) = samples.SAMPLES[topics.VERDICTS.pattern]
COMMANDS = [
    *("demo", "up", "check", "watch", "page", "alerts", "test-alert", "set", "feedback", "forget"),
    *("model", "backup", "restore", "doctor", "triton", "schema"),
]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("cameras:\n  yard:\n    source: 'synthetic:'\nmqtt:\n  port: 18830\n")
    return path


def test_help_names_every_command_and_the_exit_statuses() -> None:
    result = call("--help")

    assert result.exit_code == 0
    assert all(f"\n  {name}" in result.output for name in COMMANDS)
    assert "Exit status: 0" in result.output
    assert "secondlook up --config config.yaml" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    result = call(name, "--help")

    assert result.exit_code == 0
    assert "\b" not in result.output
    first = result.output.split("\n\n")[1].strip()
    assert first.endswith("."), first


@pytest.mark.parametrize("name", ["up", "check"])
def test_a_wrong_configuration_is_one_sentence_and_status_78(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("cameras:\n  yard:\n    sauce: webcam:0\n")

    result = call(name, "--config", str(path))

    assert result.exit_code == EXIT_CONFIG
    assert "cameras.yard.source: this key is needed" in result.stderr
    assert "did you mean source?" in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_for_pictures_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("cameras: {yard: {source: 'synthetic:'}}\n")
    monkeypatch.setenv("SECONDLOOK_PICTURES", str(path / "pictures"))

    result = call("check", "--config", str(path))

    assert result.exit_code == 2
    assert "cannot be made (Not a directory); name a folder" in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_configuration_says_where_to_begin(tmp_path: Path) -> None:
    result = call("up", "--config", str(tmp_path / "none.yaml"))

    assert result.exit_code == EXIT_CONFIG
    assert "begin with config.example.yaml" in result.stderr


@pytest.mark.parametrize("name", ["watch", "alerts", "test-alert"])
def test_without_broker_and_configuration_it_says_what_to_give(name: str) -> None:
    result = call(name)

    assert result.exit_code == EXIT_CONFIG
    assert "--config FILE or --broker HOST:PORT" in result.stderr


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    "arguments", [("set", "yrad", "armed", "false"), ("test-alert", "--camera", "yrad")]
)
def test_a_camera_that_the_configuration_does_not_have_is_told_at_once(
    arguments: tuple[str, ...],
) -> None:
    result = call(*arguments)

    assert result.exit_code == 78
    assert result.output == "secondlook: config.yaml has no camera 'yrad': there is yard\n"


def test_an_unknown_option_is_status_2() -> None:
    assert call("demo", "--sauce").exit_code == 2


def test_a_demo_without_its_weights_says_which_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "yolov5" / "1").mkdir(parents=True)
    (tmp_path / "models" / "yolov5" / "config.pbtxt").write_text("")
    monkeypatch.setattr(stack, "OWN_MODELS", tmp_path / "models")

    with pytest.raises(InstallError, match="have no weights: yolov5"):
        stack.model_repository()


def test_a_model_repository_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_MODELS", str(tmp_path / "models"))

    with pytest.raises(InstallError, match=r"there is no model repository at .*models; name one"):
        stack.model_repository()


def test_a_demo_with_a_missing_truth_says_so(tmp_path: Path) -> None:
    result = call("demo", "--truth", str(tmp_path / "none.json"))

    assert result.exit_code == EXIT_CONFIG
    assert "none.json cannot be read" in result.stderr


def test_the_broker_may_be_given_as_host_and_port(tmp_path: Path) -> None:
    nowhere = tmp_path / "none.yaml"

    mqtt = options.broker_of(nowhere, "192.0.2.5:1884", "porch")

    assert (mqtt.host, mqtt.port, mqtt.root) == ("192.0.2.5", 1884, "porch")
    assert options.broker_of(nowhere, "broker.example", "porch").port == 1883
    assert options.broker_of(nowhere, "broker.example", "porch").root == "porch"
    with pytest.raises(ConfigError, match="HOST:PORT"):
        options.broker_of(nowhere, "broker.example:many", "porch")


def test_a_running_up_of_the_same_configuration_wins(config: Path) -> None:
    running = folders.folder_of(config)
    assert options.broker_of(config, None, "secondlook").port == 18830

    with folders.held(running):
        where = {"host": "127.0.0.1", "port": 20123}
        (running / options.WHERE).write_text(json.dumps(where))
        assert options.broker_of(config, None, "secondlook").port == 20123

    assert options.broker_of(config, None, "secondlook").port == 18830


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400)]
)
def test_since_may_be_a_span(text: str, seconds: int) -> None:
    since = Since().convert(text, None, None)

    assert abs(datetime.now(UTC) - timedelta(seconds=seconds) - since) < timedelta(minutes=1)


def test_since_may_be_a_moment() -> None:
    moment = datetime(2026, 11, 22, 6, 13, 20, tzinfo=UTC)

    assert Since().convert("2026-11-22T06:13:20Z", None, None) == moment


def test_any_other_since_is_refused_with_examples() -> None:
    result = call("alerts", "--broker", "127.0.0.1", "--since", "yesterday")

    assert result.exit_code == 2
    assert "15m" in result.output


def test_the_doctor_says_what_to_do_and_fails_only_for_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking() -> Iterator[Finding]:
        yield Finding("lacking", "no mosquitto", "apt-get install mosquitto")

    def missing() -> Iterator[Finding]:
        yield Finding("missing", "no Triton", "needs Python 3.11")

    monkeypatch.setattr(doctor, "LOOKS", (lacking,))
    assert call("doctor").exit_code == 0
    monkeypatch.setattr(doctor, "LOOKS", (lacking, missing))
    result = call("doctor")
    assert result.exit_code == 1
    assert "-> apt-get install mosquitto" in result.output


def test_the_doctor_looks_at_everything_without_failing_itself() -> None:
    result = call("doctor")

    assert result.exit_code in (0, 1)
    assert "Python 3." in result.output
    assert "mosquitto" in result.output


def test_the_schema_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    page = Path(__file__).parents[2] / "docs" / "messages.md"
    (docs / "messages.md").write_text(page.read_text())

    result = call("schema", "--output", str(docs))

    assert result.exit_code == 0
    assert (docs / "schemas" / "alerts.json").exists()
    assert (tmp_path / "config.example.yaml").exists()


def test_a_rate_counts_the_last_seconds() -> None:
    rate = Rate()
    for at_s in (0.0, 1.0, 2.0, 3.0, 4.0):
        rate.count(at_s)

    assert rate.per_second(4.5) == 1.0
    assert rate.per_second(6.5) == pytest.approx(0.6)
    assert rate.per_second(60.0) == 0.0


def test_the_board_shows_cameras_services_looks_and_alerts() -> None:
    board = Board()
    board.saw_status({"camera": "front_door"}, "online")
    assert board.saw_status({"camera": "front_door"}, "online") is None
    board.saw_status({"service": "detector"}, "offline")
    board.saw_state("front_door", "small_gun", "ON")
    board.saw_verdict(VERDICT, 1.0)
    board.saw_alert(samples.ALERT)

    text = drawn(board)

    for word in ("front_door", "online", "offline", "small_gun", "0.97", "127.0.0.1:1883", "ALERT"):
        assert word in text, word


def drawn(board: Board, now_s: float = 1.0, height: int = 0) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(board.render(now_s, "127.0.0.1:1883", height, connected=True))
    return console.export_text()


def test_the_board_shows_rates_delays_and_what_is_lost() -> None:
    board = Board()
    for number in range(10):
        board.saw_frame(samples.FRAME, samples.FRAME.captured_ns + 12_000_000, number / 5)
    board.saw_verdict(VERDICT, 1.5)
    for seconds, lost in ((0, 0.0), (10, 25.0)):
        key = "detector_frames_dropped_total{camera=front_door,cause=overwritten}"
        at = samples.CAPTURED + timedelta(seconds=seconds)
        board.saw_stats(Stats(service="detector", version="1", at=at, counters={key: lost}))

    text = drawn(board, 2.0)

    for words in ("2.0/s, 12 ms", "0.2/s, 64 ms", "2.5/s"):
        assert words in text, words


def test_a_user_who_may_not_hear_of_frames_sees_their_rate_all_the_same() -> None:
    board = Board()
    board.saw_status({"camera": "front_door"}, "online")
    for seconds, sent in ((0, 0.0), (10, 48.0)):
        key = "frames_sent_total{camera=front_door}"
        at = samples.CAPTURED + timedelta(seconds=seconds)
        board.saw_stats(Stats(service="producers", version="1", at=at, counters={key: sent}))
    assert "4.8/s" in drawn(board)


def test_the_board_says_which_camera_is_disarmed() -> None:
    board = Board()
    levels = {"camera": "front_door", "key": "armed"}
    assert board.saw_setting(levels, value=True) is None
    assert str(board.saw_setting(levels, value=False)) == "camera front_door: disarmed"
    assert board.saw_setting(levels, value=False) is None
    assert "disarmed" in drawn(board)
    assert str(board.saw_setting(levels, value=True)) == "camera front_door: armed"
    board.saw_setting({"camera": "front_door", "key": "cooldown_s"}, 3)
    assert "disarmed" not in drawn(board)


def test_a_higher_terminal_shows_more_lines() -> None:
    board = Board()
    for _ in range(60):
        board.saw_alert(samples.ALERT)
    assert drawn(board).count("ALERT") == 10
    assert drawn(board, height=50).count("ALERT") == 37
    assert len(drawn(board, height=50).splitlines()) <= 50


def test_pictures_are_saved_under_their_ids_and_nowhere_else(tmp_path: Path) -> None:
    saver = Saver(tmp_path / "pictures")
    name = "front_door-01m80y6fxk8e5t7w9x0y1z2a3b.0"
    saved = saver.save(with_comment(samples.TINY_JPEG, name))
    assert saved == tmp_path / "pictures" / f"{name}.jpg"
    assert saved.stat().st_mode & 0o077 == 0
    crop = saver.save(with_comment(samples.TINY_JPEG, name), "crop")
    assert crop is not None
    assert crop.name == f"{name}.crop.jpg"
    for bad in ("../../etc/passwd", "", "/x", "a/b", "x" * 100):
        assert saver.save(with_comment(samples.TINY_JPEG, bad)) is None
    assert saver.save(b"") is None
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("watch", "--broker", "127.0.0.1:9", "--save", str(tmp_path / "file" / "x"))
    assert (result.exit_code, "--save" in result.stderr) == (1, True)


def test_an_ended_episode_is_no_longer_open_on_the_board() -> None:
    board = Board()
    board.saw_state("yard", "big_gun", "ON")
    board.saw_state("yard", "big_gun", "OFF")

    assert board.camera("yard").on == set()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"level": "INFO", "message": "ready"}', {"level": "INFO", "message": "ready"}),
        ("not JSON", {"message": "not JSON"}),
        ("42", {"message": "42"}),
    ],
)
def test_with_json_logs_every_line_is_an_object_that_says_whose_it_is(
    line: str, said: dict[str, str]
) -> None:
    assert json.loads(json_line("triton", line)) == {"service": "triton", **said}
