"""How a program on the host enters a project's broker."""

from pathlib import Path

from secondlook.config import Mqtt
from secondlook.config_file import load
from tests.compose.project import Project

CONFIG = """\
cameras: {{unused: {{source: "synthetic:"}}}}
mqtt:
  host: localhost
  port: {port}
  username: {user}
  password: !file {folder}/{user}
  tls: {{ca_file: {folder}/ca.crt}}
"""


def access(project: Project, user: str, folder: Path) -> Path:
    """Take a user's password out of the project; return a configuration that enters with it."""
    (folder / user).write_text(_kept(project, f"passwords/{user}"))
    (folder / "ca.crt").write_text(_kept(project, "certificates/ca.crt"))
    path = folder / f"{user}.yaml"
    port = project.environment["MQTT_PORT"]
    path.write_text(CONFIG.format(port=port, user=user, folder=folder))
    return path


def mqtt_of(config: Path) -> Mqtt:
    """Return the broker of a configuration."""
    return load(config).mqtt


def _kept(project: Project, path: str) -> str:
    options = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat")
    return project.run(*options, "tools", f"/access/{path}").stdout
