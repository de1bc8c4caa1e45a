from pathlib import Path

import pytest

from secondlook.config import Alerts, Camera, check_slugs, slug
from secondlook.config_file import load
from secondlook.errors import ConfigError, VersionMismatch

GOOD = "cameras: {yard: {source: 'synthetic:'}}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text), overrides)
    return str(caught.value)


def test_one_camera_is_a_whole_configuration(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.cameras["yard"].fps == 5
    assert config.mqtt.host == "127.0.0.1"


def test_relative_paths_start_beside_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.classifier.database == tmp_path / "data/secondlook.sqlite3"
    assert config.detector.spool.directory == tmp_path / "data/spool"


@pytest.mark.parametrize(
    ("version", "said"),
    [(2, r"newer version .*format is 2, .*reads up to 1"), (0, r"old version .*docs/upgrading.md")],
)
def test_a_file_of_another_version_is_refused_before_its_keys_are(
    tmp_path: Path, version: int, said: str
) -> None:
    with pytest.raises(VersionMismatch, match=said) as caught:
        load(written(tmp_path, f"version: {version}\nkameras: {{}}\n"))
    assert "kameras" not in str(caught.value)


def test_a_version_that_is_no_number_is_a_mistake_among_others(tmp_path: Path) -> None:
    assert "version: " in mistakes(tmp_path, f"version: new\n{GOOD}")


TEN_MISTAKES = """
mqtt: {host: 1, prt: 5, password: !env SECONDLOOK_TEST_NOT_SET}
cameras:
  Front: {source: "rtsp://u:hunter2@h/"}
  b: {source: "foo:hunter2", fsp: 4, fps: -1, zones: {a: [[0,0],[2,0]]}}
detector: {min_score: 7, crop: {jpg: 1}}
triton: {url: "h"}
alerts: {labels: [Gun]}
timezone: Mars
detectr: {}
"""


def test_every_mistake_is_named_at_once_with_its_path(tmp_path: Path) -> None:
    said = mistakes(tmp_path, TEN_MISTAKES)
    for path in [
        "!env SECONDLOOK_TEST_NOT_SET: that variable is not set",
        "cameras.Front: a camera's name is made of a-z, 0-9 and _",
        "cameras.b.source: a source begins with one of rtsp:",
        "cameras.b.fps: Input should be greater than 0",
        "cameras.b.fsp: there is no such key; did you mean fps?",
        "cameras.b.zones.a.1.0: Input should be less than or equal to 1",
        "mqtt.host: Input should be a valid string",
        "mqtt.prt: there is no such key; did you mean port?",
        "detector.min_score: Input should be less than or equal to 1",
        "detector.crop.jpg: there is no such key",
        "triton.url:",
        "alerts.labels.0:",
        "timezone: no such time zone",
        "detectr: there is no such key; did you mean detector?",
    ]:
        assert path in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: [", "this is not YAML", id="no-yaml"),
        pytest.param("- a", "must be a mapping", id="a-list"),
        pytest.param("", "cameras: this key is needed", id="empty"),
        pytest.param("cameras: {}", "cameras:", id="no-cameras"),
        pytest.param(GOOD + GOOD, "cameras stands here a second time", id="a-key-twice"),
        pytest.param("a: !!python/object:os.system {}", "this is not YAML", id="a-python-object"),
        pytest.param("a: &a [*a]", "", id="a-loop"),
        pytest.param("[" * 5000, "", id="deep-nesting"),
        pytest.param("a: !file no/where\n" + GOOD, "!file no/where: No such file", id="no-file"),
        pytest.param("a: !env nothing_set\n" + GOOD, "no variable of that name", id="no-variable"),
        pytest.param("x: " + "y" * 1_000_001, "larger than", id="too-large"),
        pytest.param(GOOD + "alerts: {k: 4}", "k (4) confirmed of n (3)", id="k-above-n"),
        pytest.param(
            GOOD + "alerts: {confirm_score: {small_gun: 0.9, phone: 0.5}}",
            "missing: big_gun; not an alert label: phone",
            id="scores-for-other-labels",
        ),
        pytest.param(GOOD + "metrics: {producers: 9102}", "port of its own", id="one-port-twice"),
        pytest.param(GOOD + "alerts: {labels: [a, a]}", "stands twice", id="a-label-twice"),
    ],
)
def test_a_broken_file_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    assert said in mistakes(tmp_path, text)


def test_a_missing_file_says_where_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.example\.yaml"):
        load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)


def test_secrets_come_from_the_environment_or_a_file_and_never_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_TEST_SECRET", "hunter2")
    (tmp_path / "password").write_text("swordfish\n")
    config = load(
        written(
            tmp_path,
            "mqtt: {username: me, password: !file password}\n"
            "cameras: {yard: {source: 'rtsp://cam/1', username: me, "
            "password: !env SECONDLOOK_TEST_SECRET}}",
        )
    )
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "swordfish"
    assert config.cameras["yard"].address() == "rtsp://me:hunter2@cam/1"
    for text in (repr(config), str(config), config.model_dump_json()):
        assert "hunter2" not in text
        assert "swordfish" not in text


def test_a_password_with_special_characters_stays_within_its_place() -> None:
    camera = Camera(source="rtsp://cam:554/1", username="a@b", password="p:/@?")
    assert camera.address() == "rtsp://a%40b:p%3A%2F%40%3F@cam:554/1"


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    config = load(
        written(tmp_path, GOOD + "mqtt: {port: 1}"), ["mqtt.port=2", "metrics.producers=null"]
    )
    assert config.mqtt.port == 2
    assert config.metrics.producers is None


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("SECONDLOOK__MQTT__PORT", "2")
    monkeypatch.setenv("SECONDLOOK__MQTT__HOST", "broker")
    monkeypatch.setenv("SECONDLOOK__MQTT__USERNAME", "me")
    monkeypatch.setenv("SECONDLOOK__MQTT__PASSWORD", "!file secret")
    monkeypatch.setenv("SECONDLOOK__MQTT__TLS__CA_FILE", "/ca.crt")
    monkeypatch.setenv("SECONDLOOK__CAMERAS__YARD__FPS", "3")
    config = load(written(tmp_path, GOOD + "mqtt: {port: 1}"), ["mqtt.host=other"])
    assert (config.mqtt.host, config.mqtt.port) == ("other", 2)
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"
    assert config.mqtt.tls is not None
    assert config.mqtt.tls.ca_file == Path("/ca.crt")
    assert config.cameras["yard"].fps == 3


@pytest.mark.parametrize("word", ["on", "off", "auto", '"off"'])
def test_a_switch_is_written_without_quotes(tmp_path: Path, word: str) -> None:
    of_file = load(written(tmp_path, f"{GOOD}triton: {{shared_memory: {word}}}"))
    of_line = load(written(tmp_path, GOOD), [f"triton.shared_memory={word}"])
    assert of_file.triton.shared_memory == of_line.triton.shared_memory == word.strip('"')


def test_an_empty_variable_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK__MQTT__HOST", "")
    assert load(written(tmp_path, GOOD + "mqtt: {host: mine}")).mqtt.host == "mine"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECONDLOOK__MQTT__", "x", "SECONDLOOK__MQTT__: write it as"),
        ("SECONDLOOK__MQTT__HOST", "{", "SECONDLOOK__MQTT__HOST: the value is not YAML"),
        ("SECONDLOOK__CAMERAS__YARD__FPS__X", "1", "FPS__X: fps has no keys below it"),
        (
            "SECONDLOOK__MQTT__PORTT",
            "1",
            "mqtt.portt (set by SECONDLOOK__MQTT__PORTT): there is no such key; did you mean port?",
        ),
        (
            "SECONDLOOK__FRAMES__MAX_MB",
            "lots",
            "frames.max_mb (set by SECONDLOOK__FRAMES__MAX_MB): Input should be a valid integer",
        ),
    ],
)
def test_a_variable_that_means_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    assert said in mistakes(tmp_path, "cameras: {yard: {source: 'synthetic:', fps: 1}}\n")


@pytest.mark.parametrize("override", ["mqtt.port", "=1", "mqtt..port=1", "cameras.yard.fps.x=1"])
def test_an_override_that_means_nothing_is_refused(tmp_path: Path, override: str) -> None:
    assert "--set" in mistakes(tmp_path, GOOD + "mqtt: {port: 1}", override) or override.startswith(
        "cameras"
    )


def test_a_score_may_be_given_per_label() -> None:
    assert Alerts().score_needed("small_gun") == 0.8
    per_label = Alerts(confirm_score={"small_gun": 0.7, "big_gun": 0.9})
    assert per_label.score_needed("big_gun") == 0.9


@pytest.mark.parametrize(
    ("label", "expected"),
    [("Small Gun", "small_gun"), ("é", "_"), ("", "_"), ("a" * 40, "a" * 32), ("Z-9", "z_9")],
)
def test_a_label_becomes_a_topic_level(label: str, expected: str) -> None:
    assert slug(label) == expected


def test_two_labels_with_one_slug_are_refused() -> None:
    check_slugs(["small gun", "big gun"])
    with pytest.raises(ValueError, match="Small gun and small_gun share"):
        check_slugs(["Small gun", "small_gun"])


def test_a_camera_with_a_dash_and_a_key_with_a_bracket_are_named_as_they_were_written(
    tmp_path: Path,
) -> None:
    said = mistakes(
        tmp_path, "cameras: {front-door: {source: 'synthetic:'}}\nno[pe: 1\n? [a, list]\n: 2\n"
    )
    assert "unhashable key" in said

    said = mistakes(tmp_path, "cameras: {front-door: {source: 'synthetic:'}}\nno[pe: 1\n")
    assert "cameras.front-door: a camera's name is made of a-z, 0-9 and _" in said
    assert "no[pe: there is no such key" in said


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("mqtt: {username: me, password: !env hunter2-secret}", id="for-a-variable"),
        pytest.param("mqtt: {username: me, password: !env {hunter2: 1}}", id="for-a-mapping"),
        pytest.param("mqtt: {username: me, password: !file hunter2}", id="for-a-file"),
        pytest.param("mqtt: {username: me, password: !file user:hunter2@host/1}", id="a-login"),
        pytest.param("mqtt: {username: me, password:hunter2}", id="without-a-space"),
        pytest.param("mqtt: {password:hunter2, password:hunter2}", id="twice-without-a-space"),
        pytest.param("mqtt: {rtsp://me:hunter2@camera/1}", id="an-address-as-a-key"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    said = mistakes(tmp_path, f"{GOOD}{text}\n")
    assert "hunter2" not in said
    assert "line 2" in said or "mqtt." in said
