"""Installs the Triton server that needs no container, once and in a folder of its own.

It comes from the `nvidia-pytriton` wheel, which carries Triton with the Python backend only. It
needs numpy < 2 and is a server, not a library, so it shares no environment with anything else.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secondlook.errors import InstallError

REQUIREMENTS: Final = Path(__file__).with_name("triton-requirements.txt")
TENSORFLOW: Final = Path(__file__).with_name("triton-tensorflow.txt")
"""What a server needs besides to serve a SavedModel."""
VERSIONS: Final = ("3.11", "3.12")
"""The Python versions that the server has backend stubs for."""
_GLIBC: Final = (2, 35)
_LAYOUT: Final = "1"  # raise it when `_build` leaves something else than before
_PROBE: Final = """
import ctypes, ensurepip, json, os, sysconfig, venv
get = sysconfig.get_config_var
version, folder = get("py_version_short"), get("LIBDIR")
library = f"libpython{version}.so.1.0"
beside = os.path.join(folder, library)
ctypes.CDLL(beside if os.path.exists(beside) else library)
print(json.dumps([version, folder]))
"""


@dataclass(frozen=True, slots=True)
class TritonHome:
    """An installed server."""

    path: Path
    """The environment's folder."""
    version: str
    """The Python version of its environment, as 3.12."""
    library: str
    """The folder of that Python's shared library."""

    @property
    def packages(self) -> Path:
        """Where its wheels are unpacked."""
        return self.path / "lib" / f"python{self.version}" / "site-packages"

    @property
    def server(self) -> Path:
        """The folder with the program and its backends."""
        return self.packages / "pytriton" / "tritonserver"

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class _Interpreter:
    program: str
    version: str
    library: str


def cache_folder() -> Path:
    """Return where installed servers are kept."""
    if own := os.environ.get("SECONDLOOK_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secondlook"


def needs_tensorflow(*repositories: Path) -> bool:
    """Return whether a model there is a SavedModel without an ONNX file beside it."""
    found = (
        path for repository in repositories for path in repository.glob("*/*/model.savedmodel")
    )
    return any(not path.with_name("model.onnx").exists() for path in found)


def find(cache: Path | None = None, *, tensorflow: bool = False) -> TritonHome | None:
    """Return the installed server, or None. Installs nothing.

    Args:
        cache: The folder it is kept in; default: `cache_folder`.
        tensorflow: Whether TensorFlow must be beside it.

    Raises:
        InstallError: This machine cannot have one; the text says what to do.
    """
    home = _home(cache or cache_folder(), _find_interpreter(), tensorflow=tensorflow)
    return home if _is_whole(home) else None


def install(
    progress: Callable[[str], None], *, cache: Path | None = None, tensorflow: bool = False
) -> TritonHome:
    """Return the installed server; install it first where it is missing, which takes a minute.

    Two at once are no danger: the second waits for the first. What an interrupted one leaves is
    never mistaken for a server, and what it downloaded is used by the next (pip's cache).

    Args:
        progress: Is told what happens, a line at a time.
        cache: The folder to keep it in; default: `cache_folder`.
        tensorflow: Whether to put TensorFlow beside it, which is as large again as ten servers; a
            server with it is another one than that without.

    Raises:
        InstallError: This machine cannot have one, or the download failed; the text says why.
    """
    cache = cache or cache_folder()
    interpreter = _find_interpreter()
    home = _home(cache, interpreter, tensorflow=tensorflow)
    if _is_whole(home):
        return home
    _require_platform()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress("another process is installing Triton: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(home):
            what, size = ("Triton with TensorFlow", 400) if tensorflow else ("Triton", 80)
            progress(f"installing {what} into {home.path} (once; about {size} MB to download)")
            if tensorflow:
                progress("TensorFlow is for the SavedModel alone: an ONNX file needs none of it")
            began = time.monotonic()
            _build(interpreter, home, _requirements(tensorflow=tensorflow), progress)
            progress(f"Triton is installed ({time.monotonic() - began:.0f} s)")
    return home


def _requirements(*, tensorflow: bool) -> list[Path]:
    return [REQUIREMENTS, TENSORFLOW] if tensorflow else [REQUIREMENTS]


def _home(cache: Path, interpreter: _Interpreter, *, tensorflow: bool = False) -> TritonHome:
    wanted = b"".join(path.read_bytes() for path in _requirements(tensorflow=tensorflow))
    key = hashlib.sha256(wanted + _LAYOUT.encode()).hexdigest()[:12]
    path = cache / f"triton-{interpreter.version}-{key}"
    return TritonHome(path, interpreter.version, interpreter.library)


def _is_whole(home: TritonHome) -> bool:
    # The folder gets its name when it is complete; but its Python may have been removed since.
    return (home.path / "bin" / "python").exists()


def _require_platform() -> None:
    libc, version = platform.libc_ver()
    glibc = tuple(int(part) for part in version.split(".")[:2]) if libc == "glibc" else (0,)
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64") or glibc < _GLIBC:
        raise InstallError(
            f"the embedded Triton needs Linux on x86-64 or ARM64 with glibc 2.35 or later "
            f"(Debian 12, Ubuntu 22.04); this is {sys.platform} on {machine} with "
            f"{libc or 'another libc'} {version}: use a Triton container, and `triton.url`"
        )


def _find_interpreter() -> _Interpreter:
    """Return the first Python that the server can use: the running one if it fits.

    Raises:
        InstallError: There is none.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [path for v in VERSIONS for path in [shutil.which(f"python{v}")] if path]
    for program in [sys.executable, *others] if running in VERSIONS else others:
        try:
            probed = subprocess.run(
                [program, "-c", _PROBE], capture_output=True, check=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError):
            continue
        version, library = json.loads(probed.stdout)
        if version in VERSIONS:
            return _Interpreter(program, version, library)
    raise InstallError(
        "the embedded Triton needs Python 3.11 or 3.12 with its venv module and its shared "
        f"library, and neither Python {running} nor any on PATH has that; on Debian and Ubuntu: "
        "apt-get install python3-venv libpython3.11 (or libpython3.12)"
    )


def _build(
    interpreter: _Interpreter,
    home: TritonHome,
    requirements: list[Path],
    progress: Callable[[str], None],
) -> None:
    """Make the environment beside its place and move it there when it is complete."""
    shutil.rmtree(home.path, ignore_errors=True)
    for abandoned in home.path.parent.glob("building-*"):
        shutil.rmtree(abandoned, ignore_errors=True)  # the lock is ours: nobody builds in it
    with tempfile.TemporaryDirectory(prefix="building-", dir=home.path.parent) as folder:
        building = TritonHome(Path(folder) / "home", home.version, home.library)
        _run([interpreter.program, "-m", "venv", str(building.path)], progress)
        pip = [str(building.path / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--progress-bar=off",
            "--require-hashes",
            "--timeout=30",
        ]
        files = [argument for path in requirements for argument in ("-r", str(path))]
        _run([*pip, "install", *options, *files], progress)
        # The wheel brings a stub for each Python; the backend looks for it beside itself.
        stub = "triton_python_backend_stub"
        backend = building.server / "backends" / "python"
        shutil.copy2(building.server / "python_backend_stubs" / home.version / stub, backend)
        for program in (backend / stub, building.server / "bin" / "tritonserver"):
            program.chmod(0o755)
        building.path.rename(home.path)


def _run(argv: list[str], progress: Callable[[str], None]) -> None:
    """Run a step of the installation, passing on what it is at.

    Raises:
        InstallError: It failed; the text is its last line.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    last = ""
    with subprocess.Popen(
        argv, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as step:
        for line in step.stdout or ():
            text = line.strip()
            if text.startswith(("Downloading", "Using cached", "Installing")):
                progress(text)
            last = text if text.startswith("ERROR") or not last.startswith("ERROR") else last
    if step.returncode:
        raise InstallError(
            f"Triton could not be installed: {last.removeprefix('ERROR: ') or argv[0]} "
            "(is the package index reachable? what was downloaded is kept for the next try)"
        )
