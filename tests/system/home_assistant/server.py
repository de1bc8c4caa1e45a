"""A real Home Assistant as a process of a test: configured, onboarded, connected to a broker."""

import json
import re
import secrets
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.broker_fixtures import free_port
from tests.system.home_assistant.install import Installed

START_S = 240
"""On a machine that does other things too."""
STOP_S = 60
CONFIGURATION = {
    "homeassistant": {"name": "Home", "time_zone": "UTC", "unit_system": "metric"},
    **{key: {} for key in ("api", "config", "frontend", "history", "logbook", "mobile_app")},
    "recorder": {"commit_interval": 1},
    "logger": {"default": "warning", "logs": {"homeassistant.components.mqtt": "info"}},
    "automation": "!include automations.yaml",
    "script": "!include scripts.yaml",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A state that changed, when it was heard."""

    at_s: float
    """As `time.monotonic` says."""
    entity: str
    before: str | None
    """None: the entity is new."""
    after: str | None
    """None: the entity is gone."""


class HomeAssistant:
    """One instance; its settings stay while it is stopped and started.

    Args:
        installed: What to run.
        broker_port: Of the broker that its MQTT integration connects to, on loopback.
        login: User and password there.
    """

    def __init__(self, installed: Installed, broker_port: int, login: tuple[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = f"{self.url}/"
        self.changes: list[Change] = []
        self.password = secrets.token_urlsafe(12)
        self._installed = installed
        self._broker_port = broker_port
        self._login = login
        self._inside = f"/tmp/home-assistant-{secrets.token_hex(4)}"  # noqa: S108 - of its own
        self.folder = installed.outside(self._inside)
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._stopping = threading.Event()
        self._tokens: dict[str, Any] = {}
        self._fresh_until_s = 0.0

    def configure(self, automations: Any = (), scripts: Any = None) -> None:
        """Write its configuration files; takes effect with the next start."""
        (self.folder / ".storage").mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(CONFIGURATION, sort_keys=False)
        text = re.sub(r"'(!include \w+\.yaml)'", r"\1", text)
        (self.folder / "configuration.yaml").write_text(text)
        (self.folder / "automations.yaml").write_text(yaml.safe_dump(list(automations)))
        (self.folder / "scripts.yaml").write_text(yaml.safe_dump(scripts or {}))
        # Since 2026 the port is no longer taken from the YAML, but from here.
        http = {
            "server_host": ["127.0.0.1"],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": True,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": None,
            "error_message": None,
        }
        stable = {"stable": http, "pending": None, "yaml_migration_done": True}
        self._store("http", 3, stable)
        if not self._tokens:
            # Of the first questions only the one for a user is left; others look for the weather.
            self._store("onboarding", 4, {"done": ["core_config", "analytics", "integration"]})

    def _store(self, key: str, version: int, data: Mapping[str, Any]) -> None:
        text = json.dumps({"version": version, "minor_version": 1, "key": key, "data": data})
        (self.folder / ".storage" / key).write_text(text)

    def add_blueprint(self, path: Path) -> str:
        """Copy a blueprint to where automations find it; return the name they use it by."""
        folder = self.folder / "blueprints" / "automation" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
        return f"{path.parent.name}/{path.name}"

    # The process.

    def start(self) -> None:
        """Start it and wait until it runs, with MQTT connected; set it up the first time."""
        argv = [f"{self._installed.venv}/bin/hass", "-c", self._inside, "--skip-pip"]
        argv += ["--log-no-color", "--ignore-os-check"]
        with (self.folder / "process.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._installed.command(*argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.until(self._answers, START_S)
        if not self._tokens:
            self._onboard()
        self.until(lambda: self.get("/api/config")["state"] == "RUNNING", START_S)
        self._stopping.clear()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        if not self._mqtt_entries():
            self._add_mqtt()
        self.until(lambda: [e["state"] for e in self._mqtt_entries()] == ["loaded"])

    def stop(self) -> None:
        """Stop it in good order."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it and delete everything it has written."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"Home Assistant ended:\n{self.log()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/api/onboarding", timeout=5):  # noqa: S310 - http, to loopback
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def log(self) -> str:
        """Return what it has written to its log, of all starts."""
        return (self.folder / "process.log").read_text(errors="replace")

    def complaints(self) -> list[str]:
        """Return the warnings and errors about what we told it, or made for it."""
        about = ("components.mqtt", "components.automation", "components.blueprint", "template")
        return [
            line
            for line in self.log().splitlines()
            if re.search(r" (WARNING|ERROR) ", line) and any(name in line for name in about)
            # It says so when a test kills the broker.
            if "components.mqtt.client" not in line
        ]

    # The first start.

    def _onboard(self) -> None:
        user = {"name": "Test", "username": "test", "password": self.password, "language": "en"}
        given = self.post("/api/onboarding/users", user | {"client_id": self.client})
        self._take_tokens({"grant_type": "authorization_code", "code": given["auth_code"]})

    def _take_tokens(self, form: Mapping[str, str]) -> None:
        body = urllib.parse.urlencode(dict(form) | {"client_id": self.client}).encode()
        with urllib.request.urlopen(f"{self.url}/auth/token", body, timeout=20) as answer:  # noqa: S310 - likewise
            self._tokens |= json.load(answer)
        self._fresh_until_s = time.monotonic() + self._tokens["expires_in"] / 2

    @property
    def tokens(self) -> Mapping[str, Any]:
        """What a browser keeps of its login."""
        if time.monotonic() > self._fresh_until_s:
            old = self._tokens["refresh_token"]
            self._take_tokens({"grant_type": "refresh_token", "refresh_token": old})
        return self._tokens

    def _mqtt_entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/config/config_entries/entry?domain=mqtt")
        return found

    def _add_mqtt(self) -> None:
        """Go through the form as a user would: address and login, the rest as it is."""
        start = {"handler": "mqtt", "show_advanced_options": False}
        flow = self.post("/api/config/config_entries/flow", start)
        user, password = self._login
        filled: dict[str, Any] = {"broker": "127.0.0.1", "port": self._broker_port, "protocol": "5"}
        filled |= {"username": user, "password": password}
        for field in flow["data_schema"]:
            if field.get("type") == "expandable":
                closed = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
                filled[field["name"]] = closed
        done = self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", filled)
        if done.get("type") != "create_entry":
            raise AssertionError(f"MQTT could not be set up: {done}")

    # What it says and does.

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request as the user and return the answer."""
        headers = {"Content-Type": "application/json"}
        if self._tokens:
            headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - http, to loopback
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None

    def get(self, path: str) -> Any:
        """Return what a GET answers."""
        return json.loads(self.request("GET", path))

    def post(self, path: str, body: Any) -> Any:
        """Return what a POST answers."""
        return json.loads(self.request("POST", path, body) or b"null")

    def states(self) -> dict[str, dict[str, Any]]:
        """Return all states by entity."""
        return {each["entity_id"]: each for each in self.get("/api/states")}

    def state(self, entity: str) -> str | None:
        """Return the state of an entity; None if there is no such entity."""
        found = self.states().get(entity)
        return found["state"] if found else None

    def template(self, text: str) -> str:
        """Return what a template renders to."""
        return self.request("POST", "/api/template", {"template": text}).decode()

    def call(self, action: str, **data: Any) -> None:
        """Call an action, such as `switch.turn_on`."""
        self.post(f"/api/services/{action.replace('.', '/')}", data)

    def until(self, condition: Callable[[], Any], within_s: float = 30) -> float:
        """Wait for something; return the seconds it took.

        Raises:
            AssertionError: It did not happen; with the end of the log.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s:
                raise AssertionError(f"not within {within_s} s\n{self.log()[-2000:]}")
            time.sleep(0.1)
        return time.monotonic() - began

    def changes_of(self, entity: str, since_s: float = 0.0) -> list[Change]:
        """Return how the state of an entity changed since a moment."""
        return [c for c in self.changes if c.entity == entity and c.at_s >= since_s]

    def became(self, entity: str, state: str, since_s: float, within_s: float = 60) -> float:
        """Wait until the state of an entity has changed to this; return when it did."""

        def found() -> list[Change]:
            return [each for each in self.changes_of(entity, since_s) if each.after == state]

        self.until(found, within_s)
        return found()[0].at_s

    def _listen(self) -> None:
        """Note every change of a state, until it is stopped."""
        url = f"{self.url}/api/stream?restrict=state_changed"
        token = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=token)) as lines:  # noqa: S310 - loopback
                for line in lines:
                    if line.startswith(b"data: {"):
                        self._note(json.loads(line[6:])["data"])
        except (OSError, ValueError):
            if not self._stopping.is_set():
                raise

    def _note(self, data: Mapping[str, Any]) -> None:
        before, after = data["old_state"], data["new_state"]
        states = [each["state"] if each else None for each in (before, after)]
        if states[0] != states[1]:
            self.changes.append(Change(time.monotonic(), data["entity_id"], *states))
