"""Options that several commands share, and what they mean."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import SecretStr, ValidationError

from secondlook.config import Mqtt, Tls
from secondlook.config_file import load
from secondlook.errors import ConfigError
from secondlook.local.folders import folder_of, is_held

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
WHERE = "where.json"
"""In the folder of a running `secondlook up`: where its broker is."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Since(click.ParamType[datetime]):
    """A time span such as `15m`, or a moment in RFC 3339."""

    name = "since"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment meant."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        span = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if span:
            return datetime.now(UTC) - timedelta(seconds=int(span[1]) * UNITS[span[2]])
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r}: write 90s, 15m, 2h or 2026-11-22T06:13:20Z", param, ctx)
        return moment if moment.tzinfo else moment.astimezone()


CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("config.yaml"),
    show_default=True,
    help="The configuration file.",
)
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one key, for instance --set alerts.k=3. May be repeated.",
)
MODELS = click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A Triton model repository other than the project's own.",
)


PASSWORD = "SECONDLOOK_MQTT_PASSWORD"  # noqa: S105 - the name of a variable
"""In the environment: others can read what stands on command lines."""
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@dataclass(frozen=True, slots=True)
class Login:
    """How to enter the broker, where the command line says it."""

    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def applied(self, mqtt: Mqtt) -> Mqtt:
        """Return the broker with this login in place of its own, as far as it is given.

        Raises:
            ConfigError: The parts do not make a whole.
        """
        password = _password(self.password_file)
        username = self.user or mqtt.username
        if password is not None and username is None:
            raise ConfigError("the broker's password is given without a user: --user NAME")
        changes: dict[str, Any] = {}
        if username is not None:
            changes["username"] = username
        if password is not None or self.user is not None:
            # Never the configured password of somebody else.
            changes["password"] = password
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        given = {key: path for key, path in files.items() if path is not None}
        if given:
            known = mqtt.tls.model_dump() if mqtt.tls else {}
            try:
                changes["tls"] = Tls.model_validate(known | given)
            except ValidationError:
                raise ConfigError("--key-file needs --cert-file") from None
        return mqtt.model_copy(update=changes)


def _password(file: Path | None) -> SecretStr | None:
    if file is None:
        found = os.environ.get(PASSWORD)
        return SecretStr(found) if found else None
    try:
        return SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"--password-file {file}: it cannot be read as text") from None


def to_broker(function: F) -> F:
    """Add the options that say which broker to talk to; the command gets a `login` of them."""

    @wraps(function)
    def with_login(**given: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        login = Login(**{field.name: given.pop(field.name) for field in fields(Login)})
        return function(login=login, **given)

    command: Any = with_login
    for option in (
        click.option("--key-file", type=_FILE, help="The key of --cert-file."),
        click.option("--cert-file", type=_FILE, help="A certificate in place of a password."),
        click.option(
            "--ca-file", type=_FILE, help="Encrypt; this authority signed the broker's certificate."
        ),
        click.option("--password-file", type=_FILE, help=f"Or give the password in ${PASSWORD}."),
        click.option("--user", envvar="SECONDLOOK_MQTT_USER", help="The broker's user."),
        click.option("--root", default="secondlook", show_default=True, help="With --broker."),
        click.option(
            "--broker",
            metavar="HOST[:PORT]",
            help="Talk to this broker instead of the one of the configuration.",
        ),
        CONFIG,
    ):
        command = option(command)
    return command  # type: ignore[no-any-return]


def broker_of(config_path: Path, broker: str | None, root: str, login: Login | None = None) -> Mqtt:
    """Return the broker that the options mean.

    A running `secondlook up` of the same configuration has its own broker, and wins. A login of
    the command line wins over that of the configuration.

    Raises:
        ConfigError: Neither a broker nor a usable configuration is given.
    """
    login = login or Login()
    if broker is not None:
        host, colon, port = broker.rpartition(":")
        try:
            given = (
                Mqtt(host=host, port=int(port), root=root) if colon else Mqtt(host=port, root=root)
            )
        except ValueError:
            raise ConfigError(f"--broker {broker}: write it as HOST or HOST:PORT") from None
        return login.applied(given)
    if not config_path.exists():
        raise ConfigError(f"there is no {config_path}; give --config FILE or --broker HOST:PORT")
    mqtt = load(config_path).mqtt
    running = folder_of(config_path)
    if is_held(running) and (running / WHERE).exists():
        where = json.loads((running / WHERE).read_text(encoding="utf-8"))
        own = {"host": where["host"], "port": where["port"], "tls": None}
        return mqtt.model_copy(update=own)
    return login.applied(mqtt)


def check_camera(camera: str, config_path: Path, broker: str | None) -> None:
    """See that there is a camera, as far as it is known which there are.

    Raises:
        ConfigError: The configuration has no camera of that name.
    """
    if broker is not None or not config_path.exists():
        return
    known = load(config_path).cameras
    if camera not in known:
        raise ConfigError(f"{config_path} has no camera {camera!r}: there is {', '.join(known)}")


def run(work: Coroutine[Any, Any, T]) -> T | None:
    """Run until done, or until Ctrl-C, SIGTERM or SIGHUP; return None then."""
    return asyncio.run(_interruptible(work))


async def _interruptible(work: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.ensure_future(work)
    interrupted = False

    def interrupt() -> None:
        # Once: a second Ctrl-C must not cut short the ending of the children.
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            return None
        raise
