"""A mosquitto with the files of `secondlook broker-config`: users, access rules, TLS."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import yaml
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from secondlook.cli import main
from tests.integration.broker_fixtures import (
    MOSQUITTO,
    PATIENCE_S,
    free_port,
    wait_until_answers,
)


class Secret:
    """A password as a configuration names it: `!file path`."""

    def __init__(self, broker: Path, user: str) -> None:
        self.path = broker / "passwords" / user


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    Secret, lambda dumper, secret: dumper.represent_scalar("!file", str(secret.path))
)


def as_yaml(config: dict[str, Any]) -> str:
    """Return a configuration as a file's text."""
    return yaml.dump(config, Dumper=_Dumper)


class Secured:
    """A mosquitto with the files of `secondlook broker-config`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port = folder, free_port()
        told = ["--out", str(folder), "--mounted", ".", "--host", "127.0.0.1"]
        done = CliRunner().invoke(main, ["broker-config", *told, f"--port={self.port}", *options])
        assert done.exit_code == 0, done.output
        self.said = done.output
        conf = folder / "mosquitto.conf"
        with conf.open("a") as more:
            more.write("user root\nlog_type all\n")
        self.log = folder / "broker.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [str(MOSQUITTO), "-c", str(self.folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until_answers(self.port)

    def mqtt(self, user: str, *, certificate: bool = False, **changes: Any) -> dict[str, Any]:
        """Return the section `mqtt` of a configuration, with the secrets as people give them."""
        keys = self.folder / "certificates"
        tls = {"ca_file": str(keys / "ca.crt")}
        login: dict[str, Any] = {"username": user, "password": Secret(self.folder, user)}
        if certificate:
            tls |= {"cert_file": str(keys / f"{user}.crt"), "key_file": str(keys / f"{user}.key")}
            login = {}
        return {"host": "127.0.0.1", "port": self.port, "tls": tls} | login | changes

    def lines(self, *words: str) -> list[str]:
        """Return what the broker logged that has all these words in it."""
        log = self.log.read_text(errors="replace").splitlines()
        return [line for line in log if all(word in line for word in words)]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def password(self, user: str) -> str:
        return (self.folder / "passwords" / user).read_text()

    @contextlib.contextmanager
    def client(
        self, user: str, password: str | None = None, certificate: str | None = None
    ) -> Iterator[paho.Client]:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{user}-{time.time_ns()}")
        if certificate is None:
            client.username_pw_set(user, password or self.password(user))
        keys = self.folder / "certificates"
        client.tls_set(
            str(keys / "ca.crt"),
            certfile=str(keys / f"{certificate}.crt") if certificate else None,
            keyfile=str(keys / f"{certificate}.key") if certificate else None,
        )
        answered = threading.Event()
        reasons: list[str] = []

        def on_connect(_c: object, _u: object, _f: object, reason: object, _p: object) -> None:
            reasons.append(str(reason))
            answered.set()

        client.on_connect = on_connect
        client.on_disconnect = lambda *_: answered.set()
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            assert answered.wait(PATIENCE_S), "the broker did not answer"
            assert reasons, "the broker hung up"
            if reasons[0] != "Success":
                raise PermissionError(reasons[0])
            yield client
        finally:
            client.disconnect()
            client.loop_stop()
