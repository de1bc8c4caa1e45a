import os
from pathlib import Path

import pytest

from secondlook.local import broker


def test_without_mosquitto_amqtt_is_taken_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "mosquitto", lambda: None)

    part = broker.broker_part(tmp_path, 20_001)

    assert part.argv[1:] == ["-m", "secondlook.local.amqtt_broker", "20001"]
    assert "loses unacknowledged messages" in broker.broker_name()


def test_mosquitto_keeps_what_it_acknowledged_and_states_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "mosquitto", lambda: "/opt/mosquitto")

    part = broker.broker_part(tmp_path, 20_001)

    conf = (tmp_path / "mosquitto.conf").read_text().splitlines()
    assert part.argv == ["/opt/mosquitto", "-c", str(tmp_path / "mosquitto.conf")]
    assert "listener 20001 127.0.0.1" in conf
    assert {"persistence true", "autosave_interval 1", "autosave_on_changes true"} <= set(conf)
    assert "max_queued_messages 100000" in conf
    assert ("user root" in conf) == (os.geteuid() == 0)
    assert broker.broker_name() == "mosquitto"


def test_mosquitto_is_found_where_debian_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setattr("shutil.which", lambda name, path: asked.append((name, path)))

    broker.mosquitto()

    assert asked == [("mosquitto", "/somewhere:/usr/sbin:/usr/local/sbin")]
