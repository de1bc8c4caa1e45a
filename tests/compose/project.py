"""A compose project of its own, from a copy of what a clone of this repository holds."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEVICES = ("cpu", "cpu-onnx", "gpu", "gpu-tensorrt", "jetson6", "jetson7", "external")
ADDED = tuple(
    sorted({path.stem for path in (ROOT / "deploy" / "compose").glob("*.yaml")} - set(DEVICES))
)
"""Files that may be added to any of them."""
SERVICES = ("producers", "detector", "classifier", "page", "triton", "mosquitto")
PATIENCE_S = 120.0


def why_no_compose() -> str:
    """Return why `docker compose` cannot be used here, or ""."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "docker has no compose plugin"


def why_no_engine() -> str:
    """Return why no container can be run here, or ""."""
    if missing := why_no_compose():
        return missing
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "no Docker engine answers"


@dataclass(frozen=True)
class Project:
    """A copy of the repository and a name of its own at the engine."""

    folder: Path
    name: str = "secondlook"
    environment: dict[str, str] = field(default_factory=dict)
    """What would stand in .env."""

    @classmethod
    def cloned(cls, folder: Path, name: str, **environment: str) -> "Project":
        """Copy what git knows, and what it would take, as a clone has it."""
        told = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for path in filter(None, told.stdout.decode().split("\0")):
            if (ROOT / path).is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, folder / path)
        return cls(folder, name, environment)

    def run(
        self, *arguments: str, timeout_s: float = PATIENCE_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`.

        Raises:
            AssertionError: It failed; the text has what it said.
        """
        # A profile or file that the tester has chosen is none of this project's.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
        done = subprocess.run(
            ["docker", "compose", "--progress", "plain", *arguments],
            cwd=self.folder,
            env=kept | {"COMPOSE_PROJECT_NAME": self.name} | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done

    def config(self, *options: str) -> dict[str, Any]:
        """Return the project as compose understands it."""
        found: dict[str, Any] = yaml.safe_load(self.run(*options, "config").stdout)
        return found

    def exec(self, service: str, *argv: str, check: bool = True) -> str:
        """Run a program in a service's container; return what it printed."""
        done = self.run("exec", "-T", service, *argv, check=check)
        return done.stdout.strip() if check else done.stdout + done.stderr

    def shell(self, service: str, line: str) -> str:
        """Run a line of shell there."""
        return self.exec(service, "sh", "-c", line)

    def tool(self, *argv: str, timeout_s: float = PATIENCE_S) -> str:
        """Run a command of the command line in a container of its own."""
        return self.run("run", "--rm", "-T", "tools", *argv, timeout_s=timeout_s).stdout

    def inspected(self, service: str) -> dict[str, Any]:
        """Return what the engine knows of a service's container."""
        container = self.run("ps", "--all", "--quiet", service).stdout.strip()
        done = subprocess.run(
            ["docker", "inspect", container], capture_output=True, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def healthy(self, service: str) -> bool:
        """Tell whether a service's container says that it can work."""
        return bool(self.inspected(service)["State"]["Health"]["Status"] == "healthy")

    def metrics(self, service: str, port: int) -> dict[str, float]:
        """Return the numbers that a service shows, summed over their labels."""
        code = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
        found: dict[str, float] = {}
        for line in self.exec(service, "python", "-c", code).splitlines():
            if not line.startswith("#") and line.strip():
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found


def named(kind: str, project: str) -> list[str]:
    """Return what the engine has of a project: kind is container, volume or network."""
    chosen = f"label=com.docker.compose.project={project}"
    argv = ["docker", kind, "ls", "--quiet", "--filter", chosen]
    argv += ["--all"] if kind == "container" else []
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def until(condition: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait for something.

    Raises:
        AssertionError: It did not happen in time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.5)


def files_for(device: str, added: Sequence[str] = ()) -> str:
    """Return COMPOSE_FILE for a kind of machine."""
    return ":".join(["compose.yaml", *(f"deploy/compose/{name}.yaml" for name in (device, *added))])
