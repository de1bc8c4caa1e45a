"""What stands between a client and a broker with TLS and passwords: each says what to do."""

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondlook import topics
from secondlook.adapters import tls
from secondlook.adapters.bus import Bus
from secondlook.config import Mqtt, Tls
from secondlook.errors import ConfigError
from secondlook.local import certificates
from tests.integration.broker_fixtures import MOSQUITTO, Broker
from tests.integration.secured_broker import Secured, as_yaml

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto"),
]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    one = Secured(tmp_path_factory.mktemp("secured"))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that asks its clients for certificates."""
    one = Secured(tmp_path_factory.mktemp("asking"), "--client-certificates")
    yield one
    one.stop()


def mqtt(secured: Secured, user: str = "operator", **changes: Any) -> Mqtt:
    section = secured.mqtt(user)
    section["password"] = secured.password(user)
    return Mqtt.model_validate(section | changes)


@contextlib.asynccontextmanager
async def complaining(mqtt: Mqtt, caplog: pytest.LogCaptureFixture) -> AsyncIterator[str]:
    """Give what a client says of a broker that it does not come to."""
    caplog.set_level(logging.WARNING)
    caplog.clear()
    async with Bus(mqtt, service="detector") as bus:
        async with asyncio.timeout(60):
            while not caplog.messages:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
        assert not bus.connected
        yield caplog.messages[0]


@pytest.fixture
def expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secured]:
    monkeypatch.setattr(certificates, "LEAF_DAYS", -1)
    monkeypatch.setattr(certificates, "_CLOCK_SKEW", timedelta(days=3))
    one = Secured(tmp_path / "expired")
    yield one
    one.stop()


async def test_an_expired_certificate_is_named(expired, caplog) -> None:
    async with complaining(mqtt(expired), caplog) as said:
        assert "its certificate has expired; renew it" in said


async def test_another_authority_is_named(secured, asking, caplog) -> None:
    other = {"ca_file": asking.folder / "certificates" / "ca.crt"}
    async with complaining(mqtt(secured, tls=other), caplog) as said:
        assert "an authority that is not trusted here; set mqtt.tls.ca_file" in said
    async with complaining(mqtt(secured, tls={}), caplog) as said:
        assert "an authority that is not trusted here" in said


async def test_another_name_is_named(secured, caplog) -> None:
    async with complaining(mqtt(secured, host="localhost"), caplog) as said:
        assert "not for the name localhost" in said
        assert "broker-config --host localhost" in said


async def test_tls_towards_a_port_without_it(broker: Broker, secured, caplog) -> None:
    async with complaining(mqtt(secured, port=broker.port), caplog) as said:
        assert "check mqtt.port and mqtt.tls" in said


async def test_no_tls_towards_a_port_with_it(secured, caplog) -> None:
    async with complaining(mqtt(secured, tls=None), caplog) as said:
        assert "if it wants TLS, set mqtt.tls" in said


async def test_no_certificate_where_one_is_asked_for(asking, caplog) -> None:
    keys = {"ca_file": asking.folder / "certificates" / "ca.crt"}
    async with complaining(Mqtt(port=asking.port, tls=Tls(**keys)), caplog) as said:
        assert "set mqtt.tls.cert_file and key_file" in said


@pytest.mark.parametrize("user", ["operator", "nobody"])
async def test_a_wrong_password_is_said_once_and_tried_again_slowly(secured, user, caplog) -> None:
    before, began = len(secured.lines("not authorised")), time.monotonic()
    wrong = mqtt(secured, username=user, password="hunter2")
    async with complaining(wrong, caplog) as said:
        assert "it refused us: Not authorized; check mqtt.username and mqtt.password" in said
        await asyncio.sleep(5)
        async with asyncio.timeout(60):
            while (tried := len(secured.lines("not authorised")) - before) < 2:  # noqa: ASYNC110 - another program's log
                await asyncio.sleep(0.1)
        took_s = time.monotonic() - began
    assert len(caplog.messages) == 1
    assert "hunter2" not in caplog.text
    assert tried <= 12 * took_s / 5


async def test_a_client_comes_in_once_the_password_is_right(secured, caplog) -> None:
    """The broker's file of passwords is mended, and nobody restarts the client."""
    kept = (secured.folder / "passwd").read_text()
    (secured.folder / "passwd").write_text(
        "".join(line for line in kept.splitlines(keepends=True) if "detector" not in line)
    )
    secured.stop()
    secured.start()
    async with Bus(mqtt(secured, "detector"), service="detector") as bus:
        await asyncio.sleep(1.5)
        assert not bus.connected
        (secured.folder / "passwd").write_text(kept)
        secured.stop()
        secured.start()
        async with asyncio.timeout(60):
            while not bus.connected:  # noqa: ASYNC110 - the bus has no event for it
                await asyncio.sleep(0.05)
        await bus.publish(topics.STATUS, "online", service="detector")


def test_old_tls_is_refused_on_both_sides(secured) -> None:
    context = tls.context(Tls(ca_file=secured.folder / "certificates" / "ca.crt"))
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", secured.port), 5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain)


def spoilt(folder: Path, keys: Path, kind: str) -> dict[str, str]:
    """Return files for TLS with one mistake."""
    for name in ("ca.crt", "operator.crt", "operator.key", "consumer.key"):
        shutil.copy(keys / name, folder / name)
    files = {"ca_file": "ca.crt", "cert_file": "operator.crt", "key_file": "operator.key"}
    match kind:
        case "no ca":
            (folder / "ca.crt").unlink()
        case "no key":
            (folder / "operator.key").unlink()
        case "a folder":
            files["key_file"] = "."
        case "rubbish":
            (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nrubbish\n")
        case "another key":
            files["key_file"] = "consumer.key"
        case "a passphrase":
            command = ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", "operator.key"]
            subprocess.run([*command, "-out", "locked.key"], cwd=folder, check=True, timeout=20)
            files["key_file"] = "locked.key"
        case "a key alone":
            del files["cert_file"]
        case _:
            raise AssertionError(kind)
    return files


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no ca", "mqtt.tls.ca_file: {}/ca.crt cannot be read: No such file"),
        ("no key", "mqtt.tls.key_file: {}/operator.key cannot be read: No such file"),
        ("a folder", "mqtt.tls.key_file: {} cannot be read: Is a directory"),
        ("rubbish", "mqtt.tls.ca_file: {}/ca.crt is not a certificate in PEM form"),
        ("another key", "the key of key_file is not that of the certificate"),
        ("a passphrase", "without a passphrase, is needed"),
        ("a key alone", "key_file is given without cert_file"),
    ],
)
def test_files_that_cannot_be_used_stop_the_start_with_78(asking, tmp_path, kind, said) -> None:
    files = spoilt(tmp_path, asking.folder / "certificates", kind)
    (tmp_path / "config.yaml").write_text(
        as_yaml(
            {
                "cameras": {"yard": {"source": "synthetic:"}},
                "mqtt": {"port": asking.port, "tls": files},
                "metrics": {"producers": None},
                "frames": {"directory": str(tmp_path / "frames")},
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "producers", "--config", str(tmp_path / "config.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    assert said.format(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


async def test_files_that_go_missing_later_are_waited_for(asking, tmp_path, caplog) -> None:
    for name in ("ca.crt", "operator.crt", "operator.key"):
        shutil.copy(asking.folder / "certificates" / name, tmp_path / name)
    files = Tls(
        ca_file=tmp_path / "ca.crt",
        cert_file=tmp_path / "operator.crt",
        key_file=tmp_path / "operator.key",
    )
    async with Bus(Mqtt(port=asking.port, tls=files), service="someone") as bus:
        (tmp_path / "operator.key").rename(tmp_path / "away")
        asking.stop()
        asking.start()
        async with asyncio.timeout(60):
            while "operator.key cannot be read" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        assert not bus.connected
        (tmp_path / "away").rename(tmp_path / "operator.key")
        async with asyncio.timeout(60):
            while not bus.connected:  # noqa: ASYNC110 - the bus has no event for it
                await asyncio.sleep(0.05)


def test_a_password_needs_a_user() -> None:
    with pytest.raises(ValueError, match="a password is given without a username"):
        Mqtt.model_validate({"password": "x"})


async def test_a_password_that_travels_in_the_open_is_warned_of(caplog) -> None:
    async with Bus(Mqtt(host="192.0.2.1", username="me", password="hunter2"), service="x"):
        assert "travels unencrypted" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_missing_file_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        tls.context(Tls(ca_file=Path("/nowhere/ca.crt")))
