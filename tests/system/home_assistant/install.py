"""Installs a real Home Assistant for tests, pinned, once, into the cache. Run it to do only that.

    python -m tests.system.home_assistant.install

Home Assistant needs a newer Python than this project runs on. The first of these that works:
`SECONDLOOK_HA_PYTHON`, a `python3.14` on the path, one that uv knows, and on Debian as root a small
Debian of the next release in a folder (debootstrap), in which Home Assistant is then run by chroot.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secondlook.local.triton_install import cache_folder

VERSION = "2026.11.0"
PYTHON = "3.14"
SUITE = "forky"
"""The Debian release that has that Python."""
PACKAGES = f"python{PYTHON},python{PYTHON}-venv,ca-certificates,libturbojpeg0"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LAYOUT = "1"  # raise it when what is installed changes
ROOTS = (
    *("api", "automation", "config", "event", "frontend", "history", "image", "isal", "logbook"),
    *("mobile_app", "mqtt", "recorder", "script", "template"),
)
"""The integrations that the tests use, beside those that are always there."""
NOT_NEEDED = ("cloud", "hassio")
NO_WHEEL = {
    "pymicro_vad": "class MicroVad:\n    pass\n",
    "pyspeex_noise": "class AudioProcessor:\n    pass\n",
}
"""Audio libraries that would need a compiler: modules that can be imported stand in for them."""
REQUIREMENTS = f"""
import json, pathlib, homeassistant, homeassistant.bootstrap as bootstrap
components = pathlib.Path(homeassistant.__file__).parent / "components"
def manifest(name):
    path = components / name / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else {{}}
waiting, seen = {{*bootstrap.DEFAULT_INTEGRATIONS, *{ROOTS!r}}}, set({NOT_NEEDED!r})
found = set(manifest("hassio").get("requirements", []))  # its library is imported by others
while waiting:
    name = waiting.pop()
    if name not in seen:
        seen.add(name)
        found.update(manifest(name).get("requirements", []))
        waiting.update(manifest(name).get("dependencies", []))
skipped = tuple(name.replace("_", "-") for name in {tuple(NO_WHEEL)!r})
print("\\n".join(sorted(one for one in found if not one.startswith(skipped))))
"""


class CannotInstall(Exception):
    """This machine cannot have a Home Assistant; the text says why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A Home Assistant on the disk."""

    root: Path | None
    """The folder to chroot into; None: it runs on this system."""
    venv: str
    """Its environment, as seen from inside."""

    def outside(self, path: str) -> Path:
        """Return where a path inside lies on this system."""
        return self.root / path.lstrip("/") if self.root else Path(path)

    def command(self, *argv: str) -> list[str]:
        """Return the command line that runs something inside, in a clean environment."""
        settings = {
            "PATH": f"{self.venv}/bin:/usr/bin:/bin",
            "HOME": "/root" if self.root else str(Path.home()),
            "LANG": "C.UTF-8",
            "SSL_CERT_FILE": CERTIFICATES,
            "REQUESTS_CA_BUNDLE": CERTIFICATES,
            "PIP_CERT": CERTIFICATES,
        }
        pairs = [f"{key}={value}" for key, value in settings.items()]
        inside = ["/usr/bin/env", "-i", *pairs, *argv]
        return [str(shutil.which("chroot")), str(self.root), *inside] if self.root else inside


def install() -> Installed:
    """Return Home Assistant; install it first where it is missing, which takes some minutes.

    Raises:
        CannotInstall: There is no fitting Python, or a download failed.
    """
    home = cache_folder() / f"home-assistant-{VERSION}-{LAYOUT}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = _python()
        if python is None:
            _debian(home / "root")
        root = home / "root" if python is None else None
        found = Installed(root, "/opt/venv" if root else str(home / "venv"))
        mark = found.outside(found.venv) / "installed"
        if not mark.exists():
            _say(f"installing Home Assistant {VERSION} into {home} (once, about 1.4 GB)")
            _build(found, python or f"python{PYTHON}")
            mark.touch()
    return found


def _python() -> str | None:
    """Return a Python of this system that is new enough."""
    uv = Path(sys.executable).with_name("uv")
    tried = [os.environ.get("SECONDLOOK_HA_PYTHON"), shutil.which(f"python{PYTHON}")]
    if uv.exists():
        asked = [str(uv), "python", "find", "--no-python-downloads", PYTHON]
        tried.append(subprocess.run(asked, capture_output=True, text=True).stdout.strip())  # noqa: PLW1510 - no answer is an answer
    for program in filter(None, tried):
        new_enough = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 14, 2))"
        if subprocess.run([program, "-c", new_enough], capture_output=True).returncode == 0:  # noqa: PLW1510
            return program
    return None


def _debian(root: Path) -> None:
    """Make a small Debian with the Python that is needed."""
    if not (root / "made").exists():
        mirror = _mirror()
        if os.geteuid() != 0 or mirror is None:
            raise CannotInstall(
                f"Home Assistant {VERSION} needs Python {PYTHON}.2 or newer: install it, or name "
                "it in SECONDLOOK_HA_PYTHON (root on Debian gets it from the next release)"
            )
        if shutil.which("debootstrap") is None:
            _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"])
        _say(f"making a Debian {SUITE} in {root}")
        shutil.rmtree(root, ignore_errors=True)
        # The script of the release before serves for one that this debootstrap does not know.
        include = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
        _run([*include, SUITE, str(root), mirror, "trixie"])
        (root / "made").touch()
    for path in ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES):
        shutil.copy(path, root / path.lstrip("/"))


def _mirror() -> str | None:
    """Return where this Debian takes its packages from."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    found = re.search(r"^(?:URIs:|deb)\s+(?:\[.*?\]\s+)?(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    return found[1] if found else None


def _build(found: Installed, python: str) -> None:
    venv = found.outside(found.venv)
    shutil.rmtree(venv, ignore_errors=True)
    pip = [f"{found.venv}/bin/python", "-m", "pip", "install", "--quiet"]
    _run(found.command(python, "-m", "venv", found.venv))
    _run(found.command(*pip, f"homeassistant=={VERSION}"))
    wanted = _run(found.command(f"{found.venv}/bin/python", "-c", REQUIREMENTS))
    (venv / "requirements.txt").write_text(wanted)
    [package] = venv.glob("lib/python3*/site-packages/homeassistant")
    inside = f"{found.venv}/{package.relative_to(venv)}"
    constraints = ["--constraint", f"{inside}/package_constraints.txt"]
    _run(found.command(*pip, *constraints, "--requirement", f"{found.venv}/requirements.txt"))
    for name, text in NO_WHEEL.items():
        (package.parent / f"{name}.py").write_text(text)


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-600:]
        raise CannotInstall(f"Home Assistant cannot be installed: {last}")
    return done.stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - pytest shows it with -s


if __name__ == "__main__":
    _say(f"Home Assistant is in {install()}")
